// An executor that breaks one rule, or none: ranks on this machine, each below a keeper of its own, a thread for each
// gang, one thread for all sinks. It shares nothing with executor/mp.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/conformance/mutants/executor/events.h"
#include "tests/conformance/mutants/executor/gang.h"
#include "tests/conformance/mutants/executor/log_tail.h"
#include "weft/executor.h"

namespace weft::mutant {

class MutantExecutor final : public Executor {
 public:
  MutantExecutor() = default;
  ~MutantExecutor() override;

  Result<Inventory> inventory(Deadline deadline) override;
  Status launch(const GangSpec& spec, GangSink& sink) override;
  Status stop(const GangId& gang, Duration grace) override;
  Status close() override;
  void* query(std::string_view interface_id) override;

 private:
  struct Living {
    std::int64_t incarnation = 0;
    std::unique_ptr<Gang> gang;
  };

  Status admit(const GangSpec& spec, GangSink& sink);
  Gang::Listener listener_for(const GangId& id, GangSink& sink);
  void placed(const GangId& id, GangSink& sink, const std::vector<Placement>& placements);
  void exited(const GangId& id, GangSink& sink, std::int32_t rank, const Exit& exit, bool last);
  // Its name is free; the caller destroys it, in another thread than its own, and says so by ending_.
  std::unique_ptr<Gang> forget(const GangId& id);
  void tell(const GangId& id, std::function<void()> call);
  bool passes_by(const GangId& id);
  Status begin_launch();
  void end_launch();
  void remember(std::function<void()> call);
  void wait_for_the_end();

  LogTail log_tail_;  // any thread
  std::mutex mutex_;  // guards living_, ending_, closing_, closed_
  std::condition_variable changed_;
  std::map<std::string, Living> living_;
  int ending_ = 0;  // gangs that are no longer in living_ and whose thread is not yet joined
  bool closing_ = false;
  bool closed_ = false;
  // Of broken rules, under mutex_ as well.
  std::function<void()> last_call_;
  std::set<std::pair<std::string, std::int64_t>> stopped_;
  std::set<std::string> names_;  // of every gang there was
  int slipped_ = 0;
  std::map<std::pair<std::string, std::int64_t>, bool> passes_by_;  // gangs, as they were first told of
  std::set<std::thread::id> launchers_;
  bool launching_ = false;
  int refused_ = 0;
  std::atomic<int> gangs_ = 0;
  std::atomic<int> launched_ = 0;
  std::mutex closing_mutex_;  // one close at a time waits
  Events other_events_;       // of a broken rule: idle otherwise
  Events events_;             // goes first
};

}  // namespace weft::mutant
