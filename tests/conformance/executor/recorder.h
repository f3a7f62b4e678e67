// A gang's sink that writes down what it is told, and lets a case do something inside the call.
//
// The sink's methods: the executor's thread. All else: the case's threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/harness/context.h"
#include "weft/executor.h"

namespace weft::conformance::ex {

// One call of a sink.
struct Told {
  enum class What : std::uint8_t { pending, placed, exit };
  What what = What::pending;
  GangId gang;
  std::vector<Placement> placements;
  std::int32_t rank = 0;
  Exit exit;
  Time at;
};

// How the calls of all sinks of one executor come.
class Conduct {
 public:
  void begin();
  void end() { --under_way_; }
  void no_more_from_now() { finished_ = true; }

  std::size_t threads() const;
  bool called_by(std::thread::id thread) const;
  bool overlapped() const { return overlapped_; }
  int late_calls() const { return late_; }
  int under_way() const { return under_way_; }

 private:
  std::atomic<int> under_way_ = 0;
  std::atomic<bool> overlapped_ = false;
  std::atomic<bool> finished_ = false;
  std::atomic<int> late_ = 0;  // calls after no_more_from_now()
  mutable std::mutex mutex_;   // guards threads_
  std::set<std::thread::id> threads_;
};

class Recorder final : public GangSink {
 public:
  Recorder(const Context& context, Conduct& conduct) : context_(context), conduct_(conduct) {}

  void on_pending(const GangId& gang, std::string_view why) override;
  void on_placed(const GangId& gang, const std::vector<Placement>& placements) override;
  void on_exit(const GangId& gang, std::int32_t rank, const Exit& exit) override;

  // Runs inside each call, without a lock; what it fails is the case's failure, told by the next wait. Set it before the
  // launch.
  std::function<void(const Told&)> inside;
  // No `inside` from now on: the case is over.
  void mute() { muted_ = true; }

  std::vector<Told> all() const;
  std::vector<Told> all(const GangId& gang, Told::What what) const;
  void forget();
  bool heard_nothing() const { return all().empty(); }
  // These fail the case where it does not come within patience().
  std::vector<Placement> wait_placed(const GangId& gang);
  // Until `ranks` different ranks of the gang have ended: their exits, the first of each, by rank.
  std::vector<Told> wait_exits(const GangId& gang, std::size_t ranks);
  Exit wait_exit(const GangId& gang, std::int32_t rank);
  // Fails unless the rank's exit comes as (cause, value).
  void expect_exit(const GangId& gang, std::int32_t rank, Exit::Cause cause, std::int32_t value);
  // Anything else.
  void wait(const std::function<bool(const std::vector<Told>&)>& ready, std::string_view otherwise);

 private:
  void take(Told told);

  const Context& context_;
  Conduct& conduct_;
  std::atomic<bool> muted_ = false;
  mutable std::mutex mutex_;  // guards told_, failure_
  std::condition_variable changed_;
  std::vector<Told> told_;
  std::string failure_;
};

// "code 3", "signal 9", "never_started (why)".
std::string to_text(const Exit& exit);

}  // namespace weft::conformance::ex
