// The one implementation of Router. Private to core/routing.
//
//   router.cpp   callers: submit, cancel, what the cluster says     leaders.cpp  the links that leaders dial
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/routing/ledger.h"
#include "core/routing/router.h"
#include "core/wire/convert.h"
#include "core/wire/link.h"

namespace weft::routing {

// What the router knows of a replica beyond what a balancer sees.
struct Replica {
  bool ready = false;  // the cluster's word
  bool draining = false;
  wire::LinkId link = 0;                   // its leader's; 0: not attached
  std::int64_t attached_incarnation = -1;  // the latest; one that was lost does not come back
  std::uint64_t stats_sequence = 0;
  LeaderStats stats;
};

// Calls to RouterEvents, gathered under the lock and made after it.
using Calls = std::vector<std::function<void()>>;

class LinkRouter final : public Router, private wire::ListenerHandler {
 public:
  LinkRouter(RouterOptions options, LoadBalancer& balancer, StoreClient& store, RouterEvents& events);
  ~LinkRouter() override;
  Status open();

  RequestId next_id() noexcept override { return RequestId{options_.epoch} << 40 | ++counter_; }
  Result<ReplicaId> submit(Request request, std::optional<ReplicaId> replica) override;
  Status cancel(RequestId request) override;
  std::int32_t room(std::optional<ReplicaId> replica) const override;
  void set_ready(ReplicaId id, std::int64_t incarnation) override;
  void set_draining(ReplicaId id) override;
  void set_down(ReplicaId id, std::int64_t incarnation, const Error& why) override;
  LedgerTotals totals() const override;
  std::map<ReplicaId, LeaderStats> stats() const override;

 private:
  // Listener's thread.
  void on_bound(wire::Listener& listener) override { bound_ = &listener; }
  Status on_open(const wire::Peer& peer) override;
  void on_message(const wire::Peer& peer, const wire::Envelope& envelope) override;
  void on_down(const wire::Peer& peer, const Error& why) override;
  template <class Which>
  void end_all(Which which, const Error& error);

  // Under the lock.
  ReplicaView* find_row(ReplicaId id);
  ReplicaView& make_row(ReplicaId id);
  void refresh(ReplicaView& row);
  Result<ReplicaId> choose(const RequestView& view, std::optional<ReplicaId> named);
  Result<ReplicaId> send_submit(const RequestView& view, Request request, ReplicaId chosen);
  void charge_dropped(RequestId request, ReplicaId replica);
  void end(RequestId id, Outcome outcome, Calls& calls);
  void attach(const wire::Peer& peer, const wire::Attach& attach, Calls& calls);
  void detach(const wire::Peer& peer, const std::string& why);
  void take_output(const wire::Peer& peer, ReplicaId id, const wire::StepOutput& output, Calls& calls);
  void update(const wire::Peer& peer, ReplicaId id, wire::RequestUpdate change, Calls& calls);
  void take_stats(const wire::Peer& peer, ReplicaId id, const wire::Stats& stats);

  const RouterOptions options_;
  LoadBalancer& balancer_;  // under mutex_
  StoreClient& store_;
  RouterEvents& events_;
  const Time opened_;
  std::atomic<std::uint64_t> counter_{0};

  wire::Listener* bound_ = nullptr;  // to send by, from on_bound() on

  mutable std::mutex mutex_;  // guards what follows, and the balancer
  bool closing_ = false;
  Ledger ledger_;
  std::vector<ReplicaView> rows_;  // by id
  std::map<ReplicaId, Replica> replicas_;
  std::map<wire::LinkId, ReplicaId> by_link_;

  std::unique_ptr<wire::Listener> listener_;  // last: its thread ends before what it uses
};

template <class Which>
void LinkRouter::end_all(Which which, const Error& error) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    for (const RequestId id : which())
      end(id, {.reason = FinishReason::error, .error = error}, calls);
  }
  for (const auto& call : calls)
    call();
}

}  // namespace weft::routing
