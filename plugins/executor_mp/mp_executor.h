// The executor for this machine: each rank is a child process in a process group of its own.
//
// One thread does everything that touches processes: it forks (the parent-death signal follows the thread that forked,
// so that thread lives as long as the executor), watches pidfds, keeps the stops' deadlines and calls sinks. Callers
// hand it commands.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cgroup.h"
#include "log_tails.h"
#include "process.h"
#include "weft/executor.h"
#include "weft/host.h"

namespace weft::mp {

struct MpOptions {
  std::vector<int> cpus;  // that ranks may use; empty: those that this process may use
  bool bind = true;       // give each rank the CPU affinity that its spec asks for
  std::string node_name;  // empty: the host's name
  bool cgroups = true;    // give each rank a cgroup of its own, where this process may make some
  CgroupFiles cgroup_files;
};

class MpExecutor final : public Executor {
 public:
  MpExecutor(MpOptions options, HostServices& host);
  ~MpExecutor() override;

  Result<Inventory> inventory(Deadline deadline) override;
  Status launch(const GangSpec& spec, GangSink& sink) override;
  Status stop(const GangId& gang, Duration grace) override;
  Status close() override;
  void* query(std::string_view interface_id) override;

 private:
  struct Command {
    enum class Kind { launch, stop } kind = Kind::launch;
    GangSpec spec;
    GangSink* sink = nullptr;
    Duration grace{};
  };
  struct Rank {
    std::int32_t number = 0;
    Process process;
  };
  struct Gang {
    GangId id;
    GangSink* sink = nullptr;
    std::vector<Rank> ranks;     // those that live
    Time kill_at = Time::max();  // after a stop
    bool killed = false;
  };

  void run();  // the thread
  void do_launch(Command command);
  Cgroup cgroup_for(const GangId& gang, std::int32_t rank);
  void tell_problem(const GangId& gang, const Rank& rank) const;  // of its cgroup, if there is one
  void do_stop(const Command& command);
  void refuse_gang(const Command& command, const std::string& why);
  void watch(Time until);  // waits for an exit, a command or the time
  void reap_ended();
  void kill_overdue(Time now);
  Time next_kill() const;
  void wake() const;

  const MpOptions options_;
  HostServices& host_;
  int wake_ = -1;       // eventfd
  LogTails log_tails_;  // any thread

  std::mutex mutex_;  // guards commands_, names_, closing_, closed_
  std::deque<Command> commands_;
  std::map<std::string, std::int64_t> names_;  // gangs launched and not ended: id -> incarnation
  bool closing_ = false;

  bool cgroups_tried_ = false;           // from here on the thread's own
  std::optional<CgroupFolder> cgroups_;  // made for the first gang; ends after all ranks
  std::vector<std::unique_ptr<Gang>> gangs_;
  std::mutex join_mutex_;  // guards the join in close()
  std::thread thread_;
};

// What this machine has: one node.
Result<Inventory> machine_inventory(const MpOptions& options);
// "0-3,8" -> 0 1 2 3 8. invalid_argument says what is wrong.
Result<std::vector<int>> parse_cpu_list(std::string_view text);

}  // namespace weft::mp
