// One run of the user's command: a child process of ours at whose far end `weft agent` reads and writes lines.
//
// Nothing here blocks: an owner polls what poll_entries() names, then calls pump(). One thread at a time. When our process
// dies, the kernel closes our end of the child's input, which is how the agent hears of it.
#pragma once

#include <poll.h>
#include <sys/types.h>
#include <weft/status.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace remote {

class Transport {
 public:
  // argv[0] is looked for in PATH. The child leads a process group of its own: a terminal's Ctrl-C is not meant for it.
  static weft::Result<std::unique_ptr<Transport>> start(const std::vector<std::string>& argv);
  ~Transport();  // kills and reaps
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  void send(const std::string& line) { to_send_ += line; }
  void end_input() noexcept { end_input_ = true; }  // after what is still to be sent

  void poll_entries(std::vector<pollfd>& entries) const;
  void pump();
  std::optional<std::string> next_line();

  bool output_ended() const noexcept { return out_ < 0; }
  bool ended() const noexcept { return pid_ < 0; }  // and reaped, and its output read
  void kill() const noexcept;                       // its process group; ended() follows
  // "ssh ended with code 255: ssh: connect to host left port 22: Connection refused", after the end.
  std::string end_text() const;

 private:
  Transport() = default;
  void pump_input();
  void read_into(std::string& text, int& fd, std::size_t most) const;
  void reap_if_ended();

  std::string program_;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  int in_ = -1;   // our end of its standard input: a socket, so that a write to a dead one is an error and no signal
  int out_ = -1;  // of its standard output
  int err_ = -1;  // of its standard error
  std::string to_send_;
  bool end_input_ = false;
  std::string said_;    // on standard output, not yet taken
  std::string errors_;  // the end of its standard error
  std::string end_;     // how it ended
};

}  // namespace remote
