// Ranks as processes: children forked from the test, which is rank 0 itself.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "tests/support/communicator/ranks.h"
#include "tests/support/communicator/shared_store.h"

namespace weft::test {

// Forks before any thread exists in the test, kills what is left at its end.
class Children {
 public:
  // `body` of each child returns whether all was well.
  Children(std::int32_t ranks, const std::function<bool(std::int32_t)>& body) {
    for (std::int32_t rank = 1; rank < ranks; ++rank) {
      const pid_t child = ::fork();
      if (child == 0) {
        const bool well = body(rank);
        std::fflush(nullptr);
        ::_exit(well && !testing::Test::HasFailure() ? 0 : 1);
      }
      children_.push_back(child);
    }
  }
  ~Children() {
    for (const pid_t child : children_)
      if (child > 0) end(child);
  }
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // Waits for a child's end and says whether it was a good one.
  bool well(std::int32_t rank) {
    pid_t& child = children_[static_cast<std::size_t>(rank - 1)];
    int status = 0;
    ::waitpid(child, &status, 0);
    child = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  // Waits until the child has stopped itself.
  void await_stop(std::int32_t rank) {
    int status = 0;
    ::waitpid(children_[static_cast<std::size_t>(rank - 1)], &status, WUNTRACED);
    EXPECT_TRUE(WIFSTOPPED(status));
  }
  void kill(std::int32_t rank) {
    pid_t& child = children_[static_cast<std::size_t>(rank - 1)];
    end(child);
    child = 0;
  }

 private:
  static void end(pid_t child) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  std::vector<pid_t> children_;
};

}  // namespace weft::test
