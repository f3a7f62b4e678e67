// A worker's link to the head: joining, phases, heartbeats, the store, and what the head says.
//
// Threads: the dialer's own delivers; "heartbeat" beats a third of a lease apart; everything else is the caller's.
// What the head says beyond store replies is put into an inbox that the caller empties.
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
  std::atomic<bool> busy{false};
};

class HeadLink final : private wire::DialerHandler {
 public:
  static Result<std::unique_ptr<HeadLink>> join(const Environment& environment, Deadline deadline);
  ~HeadLink() override;

  StoreClient& store() noexcept { return *store_; }
  Status send(wire::Envelope envelope);
  void phase(wire::Phase phase);  // a send that cannot fail usefully: a lost link is told elsewhere
  void failure(const Error& error);
  void start_heartbeat(Duration lease, const Progress& progress);
  // Called for each Stop, Settle and Drain, and once the head is gone (nullopt). On the link's thread; must not block.
  // Those that came before are delivered at once.
  void set_listener(std::function<void(std::optional<wire::Envelope>)> listener);
  // Waits for the head's Assign.
  Result<wire::Assign> assignment(Deadline deadline);

 private:
  HeadLink() = default;
  void on_message(const wire::Envelope& envelope) override;
  void on_down(const Error& why) override;
  void beat(Duration interval, const Progress& progress);

  std::unique_ptr<store::RemoteStore> store_;
  std::mutex mutex_;  // guards assign_, early_, listener_, down_, stop_beating_, phase_
  std::condition_variable changed_;
  std::optional<wire::Assign> assign_;
  std::deque<std::optional<wire::Envelope>> early_;
  std::function<void(std::optional<wire::Envelope>)> listener_;
  std::optional<Error> down_;
  bool stop_beating_ = false;
  wire::PhaseKind phase_ = wire::PHASE_UNKNOWN;
  std::thread heartbeat_;
  std::unique_ptr<wire::Dialer> dialer_;
};

}  // namespace weft::worker
