// A `weft agent` that a test talks to. One thread; every wait has a deadline and fails the test when it passes.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/temporary_directory.h"
#include "weft/time.h"

namespace weft::test {

using Json = nlohmann::json;

class AgentProcess {
 public:
  AgentProcess();
  ~AgentProcess();  // kills it if it still runs
  AgentProcess(const AgentProcess&) = delete;
  AgentProcess& operator=(const AgentProcess&) = delete;

  pid_t pid() const noexcept { return pid_; }
  void send(const std::string& bytes) const;
  void send(const Json& line) const { send(line.dump() + "\n"); }
  void end_input();
  // The next event; null where the output has ended.
  Json next();
  // Whatever it still says, as lines; then its exit code (128 + the number of a signal).
  int wait();

 private:
  pid_t pid_ = -1;
  int pidfd_ = -1;
  int in_ = -1;
  int out_ = -1;
  std::string said_;  // read and not yet handed out
};

// A FIFO through which a rank tells the test something, such as that its traps are set, or a pid.
class Bell {
 public:
  explicit Bell(const TemporaryDirectory& directory);
  ~Bell();
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;
  const std::string& path() const noexcept { return path_; }
  std::string wait();  // a line, without its newline

 private:
  std::string path_;
  int fd_ = -1;
};

// Until the process is gone, zombies included where they are nobody's child of ours; false at the deadline.
bool wait_gone(int pidfd);
int open_pidfd(pid_t pid);

// {"weft_agent": 1, "argv": ["/bin/sh", "-c", script]}
Json shell(const std::string& script);

}  // namespace weft::test
