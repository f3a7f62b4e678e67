// A program that a test starts, listens to, signals and waits for. One thread; every wait has a deadline.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "weft/time.h"

namespace weft::test {

// For whatever a test waits for: far beyond what it takes on a busy machine with a sanitizer.
constexpr Duration patience = std::chrono::seconds(60);

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor();
  int get() const noexcept { return value_; }

 private:
  int value_;
};

// Readable once the process has ended; works for processes that are not this one's children. -1: there is none.
Descriptor open_pidfd(pid_t pid);
// False at the deadline.
bool wait_readable(const Descriptor& descriptor, Deadline deadline);

struct ChildSpec {
  std::vector<std::string> argv;                         // argv[0] is the program's path
  std::vector<std::pair<std::string, std::string>> env;  // on top of this process's own
  std::string directory;                                 // its working directory; empty: this process's
  bool obeys_permissions = false;  // file permissions count for it, even where this process is root
};

// It leads a process group of its own, as a shell's job does, and is killed with its test.
class Child {
 public:
  explicit Child(ChildSpec spec);
  ~Child();  // kills it if it still runs
  Child(Child&&) = default;
  Child& operator=(Child&&) = delete;

  pid_t pid() const noexcept { return pid_; }
  void signal(int number) const;        // to it alone
  void signal_group(int number) const;  // as a terminal's Ctrl-C does
  // Listens until `done`; false if it ended before, or at the deadline. `wakes`: a further descriptor to look up for.
  bool wait_until(const std::function<bool()>& done, const Descriptor* wakes = nullptr);
  // Until its stderr holds the text.
  bool wait_for(const std::string& text);
  // Its exit code; 128 + the signal's number if one killed it; -1 at the deadline.
  int wait();

  const std::string& out() const noexcept { return out_; }
  const std::string& err() const noexcept { return err_; }

 private:
  void listen(Deadline deadline, int wakes);
  bool ended() const;

  pid_t pid_ = -1;
  Descriptor pidfd_;
  Descriptor out_pipe_;
  Descriptor err_pipe_;
  std::string out_;
  std::string err_;
};

}  // namespace weft::test
