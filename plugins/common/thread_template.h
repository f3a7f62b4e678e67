// What a plugin's own thread should be like.
#pragma once

#include <sched.h>
#include <signal.h>

#include <array>
#include <span>

namespace weft::plugins {

// A thread inherits name, signal mask and CPU set of the one that makes it, and libraries make theirs themselves. So
// the maker is lent these for the moment: `name` (at most 15 characters), no signals, and `cpus` (empty: its own).
class ThreadTemplate {
 public:
  ThreadTemplate(const char* name, std::span<const int> cpus);
  ~ThreadTemplate();
  ThreadTemplate(const ThreadTemplate&) = delete;
  ThreadTemplate& operator=(const ThreadTemplate&) = delete;

 private:
  std::array<char, 16> name_{};
  sigset_t signals_{};
  cpu_set_t cpus_{};
  bool restore_cpus_ = false;
};

}  // namespace weft::plugins
