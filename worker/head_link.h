// A worker's link to the head: joining, phases, heartbeats, the store, and what the head says.
//
// Threads: the dialer's own takes messages in and does nothing else, for calls of the store would wait on it; "head-events"
// beats a third of a lease apart and hands over what the head says; everything else is the caller's.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "core/store/remote_store.h"
#include "core/wire/link.h"
#include "weft/status.h"
#include "worker/environment.h"

namespace weft::worker {

// Where the rank is in its work: moved by the loops, read by the heartbeat.
struct Progress {
  std::atomic<std::int64_t> step{0};
  std::atomic<std::int64_t> layers{0};  // since the start: moves within a step too
  std::atomic<bool> busy{false};
};

class HeadLink final : private wire::DialerHandler {
 public:
  static Result<std::unique_ptr<HeadLink>> join(const Environment& environment, Deadline deadline);
  ~HeadLink() override;

  StoreClient& store() noexcept { return *store_; }
  Status send(wire::Envelope envelope);
  void phase(wire::Phase phase);     // a send that cannot fail usefully: a lost link is told elsewhere
  void failure(const Error& error);  // the first one counts
  void start_events(Duration lease, const Progress& progress);
  // `listener` is called for each Stop, Settle and Drain, and once the head is gone (nullopt), on the thread that
  // start_events() starts; what came before is kept for it. After set_listener() returns the former one is not called any
  // more.
  void set_listener(std::function<void(std::optional<wire::Envelope>)> listener);
  // Waits for the head's Assign.
  Result<wire::Assign> assignment(Deadline deadline);

 private:
  HeadLink() = default;
  void on_message(const wire::Envelope& envelope) override;
  void on_down(const Error& why) override;
  void run_events(Duration interval, const Progress& progress);
  void beat(const Progress& progress);
  void hand_over(std::deque<std::optional<wire::Envelope>> events);

  std::unique_ptr<store::RemoteStore> store_;
  std::mutex mutex_;  // guards assign_, events_, has_listener_, down_, ended_, told_failure_, phase_
  std::condition_variable changed_;
  std::optional<wire::Assign> assign_;
  std::deque<std::optional<wire::Envelope>> events_;  // not handed over yet
  bool has_listener_ = false;
  std::optional<Error> down_;
  bool ended_ = false;
  bool told_failure_ = false;
  wire::PhaseKind phase_ = wire::PHASE_UNKNOWN;
  std::mutex listener_mutex_;  // guards listener_ while it is called; never taken under mutex_
  std::function<void(std::optional<wire::Envelope>)> listener_;
  std::thread thread_;
  std::unique_ptr<wire::Dialer> dialer_;
};

}  // namespace weft::worker
