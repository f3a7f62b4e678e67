// One gang: a thread that starts its keepers, hears of its ranks' ends and keeps its stops' deadlines.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/mutants/executor/keeper.h"
#include "weft/executor.h"

namespace weft::mutant {

class Gang {
 public:
  // What a gang tells, by its own thread. `last`: nothing comes after it.
  struct Listener {
    std::function<void(const std::vector<Placement>&)> placed;
    std::function<void(std::int32_t rank, const Exit& exit, bool last)> exited;
  };
  // `node` is where its ranks are placed.
  Gang(GangSpec spec, Node node, Listener listener);
  ~Gang();  // when `last` was told
  Gang(const Gang&) = delete;
  Gang& operator=(const Gang&) = delete;

  // Any thread.
  void stop(Duration grace);
  // Its ranks live on and it says no more.
  void abandon();
  // Before its last stop(): what else is in its ranks' process groups lives on.
  void leave_children() { leaves_children_ = true; }
  bool was_placed() const { return placed_; }

 private:
  struct Rank {
    std::int32_t number = 0;
    Keeper keeper;
  };

  void run();
  // Empty: all have started; else why not, and none is left.
  std::string start_all();
  void tell_placed();
  void watch_once();
  void keep_deadline();
  void tell_and_kill_later();
  void hear(std::size_t index);
  Time kill_at();

  const GangSpec spec_;
  const Node node_;
  const Listener listener_;
  std::vector<Rank> ranks_;         // those that live; the thread's own
  std::vector<std::int64_t> pids_;  // the same
  std::atomic<bool> placed_ = false;
  std::atomic<bool> abandoned_ = false;
  std::atomic<bool> leaves_children_ = false;
  bool terminated_ = false;
  bool killed_ = false;
  int wake_ = -1;     // an eventfd
  std::mutex mutex_;  // guards stopped_, kill_at_
  bool stopped_ = false;
  Time kill_at_ = Time::max();
  std::thread thread_;
};

}  // namespace weft::mutant
