// A cgroup (version 2) for each rank, below the one that this process runs in. What a rank starts is in it too, in whatever
// process group or session it hides, and the kernel ends all of it at once (cgroup.kill, Linux 5.14), forks under way too.
//
// One thread at a time. No control is switched on: limits of the cgroup above hold for all of it as before.
#pragma once

#include <string>

#include "weft/status.h"

namespace weft::mp {

// Where the kernel says what is mounted and which cgroup this process is in. Tests have files of their own.
struct CgroupFiles {
  std::string mounts = "/proc/self/mountinfo";
  std::string own = "/proc/self/cgroup";
};

// One rank's.
class Cgroup {
 public:
  Cgroup() = default;  // none: kill() and end() do nothing
  explicit Cgroup(std::string path) : path_(std::move(path)) {}
  Cgroup(Cgroup&& other) noexcept;
  Cgroup& operator=(Cgroup&& other) noexcept;
  ~Cgroup();  // end()

  // The directory, for clone3() to make a process in; and cgroup.procs, where a process that writes "0" moves in. -1: there is
  // none, or none to be had. The caller closes them.
  int open_folder() const;
  int open_door() const;
  // KILL to all in it and below.
  void kill() const noexcept;
  // Kills what is left, waits for its end for a second at most, and removes the directory. An error says what was left.
  Status end();

 private:
  std::string path_;  // empty: none
};

// One executor's: "weft-PID-N" below this process's cgroup. Its ranks' cgroups end before it.
class CgroupFolder {
 public:
  // failed_precondition says why ranks cannot have cgroups here: no version 2, not writable, a kernel without cgroup.kill. Leaves
  // nothing then. Also removes what a head that is no more had to leave behind and is empty by now.
  static Result<CgroupFolder> make(const CgroupFiles& files = {});

  CgroupFolder(CgroupFolder&& other) noexcept;
  CgroupFolder& operator=(CgroupFolder&&) = delete;
  ~CgroupFolder();

  // An empty one. `name` is for people who look; it may hold anything and come again.
  Result<Cgroup> add(const std::string& name);
  const std::string& path() const noexcept { return path_; }

 private:
  explicit CgroupFolder(std::string path) : path_(std::move(path)) {}

  std::string path_;
  int made_ = 0;
};

}  // namespace weft::mp
