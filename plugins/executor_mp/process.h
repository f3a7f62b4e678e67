// One child process: started with everything in place, watched through a pidfd, killed with all of its process group and,
// where it has one, of its cgroup.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

#include "cgroup.h"
#include "weft/executor.h"

namespace weft::mp {

// A child that exec'd, or is about to. Its process group has its pid.
class Process {
 public:
  // Forks; the child leads a process group of its own, arms the parent-death signal if asked (it follows the calling
  // thread, which must outlive the child), takes its CPUs, /dev/null as input and the log as output, and execs.
  // An error here means nothing was started. Whether the exec worked is told by finish_start(). The child moves into
  // `cgroup`, which ends with it.
  static Result<Process> start(const RankSpec& spec, bool die_with_parent, Cgroup cgroup = {});
  // Blocks until the child has exec'd or failed to: then the reason, and the child is reaped.
  Status finish_start();

  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();  // kills the group and reaps, if that has not been done

  pid_t pid() const noexcept { return pid_; }
  int pidfd() const noexcept { return pidfd_; }  // readable once the process has ended
  void signal_group(int signal) const noexcept;
  // KILL to the group and to all of the cgroup.
  void kill_all() const noexcept;
  // After pidfd is readable: kills what is left of the group and the cgroup, reaps, and says how the process ended.
  Exit reap();
  // What went wrong with its cgroup until now, for a log; empty: nothing. A rank does without.
  const std::string& cgroup_problem() const noexcept { return cgroup_problem_; }

 private:
  Process() = default;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  int error_pipe_ = -1;  // the child's errno and stage, or end of file after a good exec
  std::string program_;
  Cgroup cgroup_;
  std::string cgroup_problem_;
};

}  // namespace weft::mp
