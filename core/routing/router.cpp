#include "core/routing/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>

#include "core/routing/ledger.h"
#include "core/telemetry/log.h"
#include "core/wire/convert.h"
#include "core/wire/link.h"

namespace weft {
namespace {

using routing::LedgerEntry;

constexpr Duration publish_deadline = std::chrono::seconds(10);

// What the router knows of a replica beyond what a balancer sees.
struct Replica {
  bool ready = false;  // the cluster's word
  bool draining = false;
  wire::LinkId link = 0;  // its leader's; 0: not attached
  std::int64_t attached_incarnation = 0;
  std::uint64_t stats_sequence = 0;
  LeaderStats stats;
};

// Calls to RouterEvents, gathered under the lock and made after it.
using Calls = std::vector<std::function<void()>>;

class LinkRouter final : public Router, private wire::ListenerHandler {
 public:
  LinkRouter(RouterOptions options, LoadBalancer& balancer, StoreClient& store, RouterEvents& events)
      : options_(std::move(options)), balancer_(balancer), store_(store), events_(events), opened_(Clock::now()) {}

  ~LinkRouter() override {
    if (listener_ == nullptr) return;
    bound_->post([this] {
      end_all([&] { return ledger_.all(); }, {ErrorCode::cancelled, "the router was closed", true});
    });
    listener_.reset();  // runs what was posted, joins the thread
    (void)store_.remove(fmt::format("router/{}", options_.epoch), Deadline::in(std::chrono::seconds(1)));
  }

  Status open() {
    WEFT_ASSIGN(listener, wire::Listener::bind({.name = fmt::format("router-{}", options_.epoch),
                                                .endpoint = options_.endpoint,
                                                .token = options_.token,
                                                .limits = {.dead_after = options_.dead_after},
                                                .log = [](std::string text) { log::warn("router", "{}", text); }},
                                               *this));
    listener_ = std::move(listener);
    std::string endpoint = listener_->endpoint();
    if (!options_.advertise.empty()) endpoint = "tcp://" + options_.advertise + endpoint.substr(endpoint.rfind(':'));
    const std::string key = fmt::format("router/{}", options_.epoch);
    WEFT_TRY_CONTEXT(store_.set(key, endpoint, Deadline::in(publish_deadline)), "router");
    log::debug("router", "bound and published {} = {}", key, endpoint);
    return {};
  }

  RequestId next_id() noexcept override { return RequestId{options_.epoch} << 40 | ++counter_; }

  Result<ReplicaId> submit(Request request, std::optional<ReplicaId> replica) override {
    const auto hashes = block_hashes(request.prompt, static_cast<std::size_t>(options_.block_size));
    const RequestView view{.id = request.id,
                           .prompt_tokens = static_cast<std::int32_t>(request.prompt.size() + request.emitted.size()),
                           .max_tokens = request.stop.max_tokens - static_cast<std::int32_t>(request.emitted.size()),
                           .block_hashes = hashes,
                           .affinity = {},
                           .priority = request.priority};
    const std::lock_guard lock(mutex_);
    if (ledger_.find(request.id) != nullptr)
      return fail(ErrorCode::already_exists, fmt::format("request {:x} has been submitted", request.id));
    WEFT_ASSIGN(chosen, choose(view, replica));
    Replica& target = replicas_[chosen];
    wire::Envelope envelope;
    *envelope.mutable_submit() = wire::to_wire(request);
    if (Status sent = bound_->send(target.link, std::move(envelope)); !sent) {
      balancer_.observe({.kind = Event::Kind::dropped, .replica = chosen, .request = view.id}, Clock::now());
      return fail(ErrorCode::unavailable, fmt::format("replica {}: {}", chosen, sent.error().message), true);
    }
    ReplicaView& row = *find_row(chosen);
    balancer_.observe({.kind = Event::Kind::dispatched,
                       .replica = chosen,
                       .incarnation = row.incarnation,
                       .request = view.id,
                       .prompt_tokens = view.prompt_tokens,
                       .max_tokens = view.max_tokens},
                      Clock::now());
    ledger_.enter(std::move(request), chosen, row.incarnation);
    ++row.in_flight;
    refresh(row);
    return chosen;
  }

  Status cancel(RequestId request) override {
    const std::lock_guard lock(mutex_);
    const LedgerEntry* entry = ledger_.find(request);
    if (entry == nullptr) return fail(ErrorCode::not_found, fmt::format("request {:x} is not under way", request));
    wire::Envelope envelope;
    envelope.mutable_cancel()->set_request(request);
    // A lost link needs no cancelling: the replica is down, and its requests end with that.
    (void)bound_->send(replicas_[entry->replica].link, std::move(envelope));
    return {};
  }

  std::int32_t room(std::optional<ReplicaId> replica) const override {
    const std::lock_guard lock(mutex_);
    std::int32_t sum = 0;
    for (const ReplicaView& row : rows_)
      if (row.eligible && (!replica || row.id == *replica)) sum += row.capacity - row.in_flight;
    return sum;
  }

  void set_ready(ReplicaId id, std::int64_t incarnation) override {
    bound_->post([this, id, incarnation] {
      {
        const std::lock_guard lock(mutex_);
        ReplicaView& row = make_row(id);
        row.incarnation = incarnation;
        Replica& replica = replicas_[id];
        replica.ready = true;
        replica.draining = false;
        balancer_.observe({.kind = Event::Kind::joined, .replica = id, .incarnation = incarnation}, Clock::now());
        refresh(row);
      }
      events_.on_room();
    });
  }

  void set_draining(ReplicaId id) override {
    bound_->post([this, id] {
      const std::lock_guard lock(mutex_);
      replicas_[id].draining = true;
      refresh(make_row(id));
    });
  }

  void set_down(ReplicaId id, std::int64_t incarnation, const Error& why) override {
    bound_->post([this, id, incarnation, why] {
      {
        const std::lock_guard lock(mutex_);
        ReplicaView& row = make_row(id);
        if (row.incarnation > incarnation) return;  // stale: it has been launched again
        replicas_[id].ready = false;
        balancer_.observe({.kind = Event::Kind::left, .replica = id, .incarnation = incarnation}, Clock::now());
        refresh(row);
      }
      Error error = why;
      error.retryable = true;  // the request is good: another replica, or a later run, can answer it
      end_all([&] { return ledger_.held_by(id, incarnation); }, error);
      events_.on_room();
    });
  }

  LedgerTotals totals() const override {
    const std::lock_guard lock(mutex_);
    return ledger_.totals();
  }

  std::map<ReplicaId, LeaderStats> stats() const override {
    const std::lock_guard lock(mutex_);
    std::map<ReplicaId, LeaderStats> all;
    for (const auto& [id, replica] : replicas_)
      all[id] = replica.stats;
    return all;
  }

 private:
  // ---- under the lock ----

  ReplicaView* find_row(ReplicaId id) {
    const auto found = std::lower_bound(rows_.begin(), rows_.end(), id,
                                        [](const ReplicaView& row, ReplicaId wanted) { return row.id < wanted; });
    return found != rows_.end() && found->id == id ? &*found : nullptr;
  }

  ReplicaView& make_row(ReplicaId id) {
    if (ReplicaView* row = find_row(id)) return *row;
    const auto place = std::lower_bound(rows_.begin(), rows_.end(), id,
                                        [](const ReplicaView& row, ReplicaId wanted) { return row.id < wanted; });
    return *rows_.insert(place, ReplicaView{.id = id});
  }

  void refresh(ReplicaView& row) {
    const Replica& replica = replicas_[row.id];
    row.eligible = replica.ready && !replica.draining && replica.link != 0 &&
                   replica.attached_incarnation == row.incarnation && row.in_flight < row.capacity;
  }

  Result<ReplicaId> choose(const RequestView& view, std::optional<ReplicaId> named) {
    if (named) {
      const ReplicaView* row = find_row(*named);
      if (row == nullptr || !row->eligible)
        return fail(ErrorCode::unavailable, fmt::format("replica {} has no room now", *named), true);
      return *named;
    }
    if (std::none_of(rows_.begin(), rows_.end(), [](const ReplicaView& row) { return row.eligible; }))
      return fail(ErrorCode::unavailable, "no replica has room now", true);
    WEFT_ASSIGN_CONTEXT(decision, balancer_.pick(view, {.replicas = rows_}, Clock::now()), "balancer");
    const ReplicaView* row = find_row(decision.replica);
    if (row == nullptr || !row->eligible)
      return fail(ErrorCode::internal, fmt::format("balancer: picked replica {}, which takes no requests now ({})",
                                                   decision.replica, decision.reason));
    log::trace("router", "request {:x} -> replica {}: {}", view.id, decision.replica, decision.reason);
    return decision.replica;
  }

  // Takes a request out and makes the call that tells its end.
  void end(RequestId id, Outcome outcome, Calls& calls) {
    std::optional<LedgerEntry> entry = ledger_.end(id);
    if (!entry) return;
    outcome.replica = entry->replica;
    outcome.generated = entry->generated;
    if (ReplicaView* row = find_row(entry->replica); row != nullptr && row->incarnation == entry->incarnation) {
      --row->in_flight;
      refresh(*row);
    }
    balancer_.observe({.kind = Event::Kind::finished,
                       .replica = entry->replica,
                       .incarnation = entry->incarnation,
                       .request = id,
                       .generated = entry->generated},
                      Clock::now());
    calls.push_back([this, id, outcome = std::move(outcome)] { events_.on_finished(id, outcome); });
  }

  void update(const wire::Peer& peer, ReplicaId id, wire::RequestUpdate change, Calls& calls) {
    LedgerEntry* entry = ledger_.find(change.request, id, peer.incarnation);
    if (entry == nullptr)
      return log::debug("router", "replica {}: an update of request {:x}, which is not its, was dropped", id,
                        change.request);
    if (!change.tokens.empty()) {
      const bool first = entry->generated == 0;
      ledger_.give(*entry, change.tokens, std::chrono::duration<double>(Clock::now() - opened_).count());
      balancer_.observe({.kind = first ? Event::Kind::first_token : Event::Kind::progress,
                         .replica = id,
                         .incarnation = peer.incarnation,
                         .request = change.request,
                         .generated = entry->generated},
                        Clock::now());
      calls.push_back(
          [this, request = change.request, tokens = std::move(change.tokens)] { events_.on_tokens(request, tokens); });
    }
    if (change.finish_reason == FinishReason::none) return;
    end(change.request,
        {.reason = change.finish_reason,
         .error = change.error.value_or(Error{}),
         .matched_stop = std::move(change.matched_stop),
         .text_offset = change.text_offset},
        calls);
  }

  void take_stats(const wire::Peer& peer, ReplicaId id, const wire::Stats& stats) {
    Replica& replica = replicas_[id];
    if (stats.stats_sequence() <= replica.stats_sequence) return;
    replica.stats_sequence = stats.stats_sequence();
    replica.stats = {.waiting = stats.waiting(),
                     .running = stats.running(),
                     .kv_usage = stats.kv_usage(),
                     .steps = stats.steps(),
                     .step_seconds = stats.step_seconds(),
                     .collective_seconds = stats.collective_seconds(),
                     .preemptions = stats.preemptions()};
    ReplicaView& row = make_row(id);
    row.waiting = stats.waiting();
    row.running = stats.running();
    row.kv_usage = stats.kv_usage();
    row.stats_at = Clock::now();
    balancer_.observe({.kind = Event::Kind::stats,
                       .replica = id,
                       .incarnation = peer.incarnation,
                       .waiting = stats.waiting(),
                       .running = stats.running(),
                       .pending_prefill_tokens = stats.pending_prefill_tokens(),
                       .kv_usage = stats.kv_usage(),
                       .stats_sequence = stats.stats_sequence()},
                      row.stats_at);
  }

  void attach(const wire::Peer& peer, const wire::Attach& attach) {
    const bool sane = attach.replica() >= 0 && attach.capacity() >= 1;
    const auto known = replicas_.find(attach.replica());
    if (!sane || (known != replicas_.end() &&
                  (peer.incarnation < known->second.attached_incarnation || known->second.link != 0))) {
      log::warn("router", "rank {}: an Attach for replica {} (capacity {}, incarnation {}) was refused", peer.rank,
                attach.replica(), attach.capacity(), peer.incarnation);
      return bound_->close(peer.link, "this replica is attached already, or the Attach is wrong");
    }
    ReplicaView& row = make_row(attach.replica());
    Replica& replica = replicas_[attach.replica()];
    replica.link = peer.link;
    replica.attached_incarnation = peer.incarnation;
    replica.stats_sequence = 0;
    by_link_[peer.link] = attach.replica();
    row.capacity = attach.capacity();
    row.in_flight = 0;
    refresh(row);
    log::debug("router", "replica {}.{} attached, takes {} requests at once", attach.replica(), peer.incarnation,
               attach.capacity());
  }

  // ---- the listener's thread ----

  void on_bound(wire::Listener& listener) override { bound_ = &listener; }

  Status on_open(const wire::Peer& peer) override {
    if (peer.role == wire::ROLE_LEADER) return {};
    return fail(ErrorCode::refused, "this port is for leaders");
  }

  void on_message(const wire::Peer& peer, const wire::Envelope& envelope) override {
    Calls calls;
    {
      const std::lock_guard lock(mutex_);
      const auto attached = by_link_.find(peer.link);
      if (envelope.has_attach() && attached == by_link_.end()) {
        attach(peer, envelope.attach());
        calls.push_back([this] { events_.on_room(); });
      } else if (attached == by_link_.end()) {
        log::warn("router", "rank {}: a message before Attach was dropped", peer.rank);
      } else if (envelope.has_stats()) {
        take_stats(peer, attached->second, envelope.stats());
      } else if (envelope.has_step_output()) {
        auto updates = wire::from_wire(envelope.step_output());
        if (!updates) {
          log::error("router", "rank {}: {}; its link is closed", peer.rank, updates.error().message);
          bound_->close(peer.link, updates.error().message);
        } else {
          bool ended = false;
          for (wire::RequestUpdate& change : *updates) {
            ended |= change.finish_reason != FinishReason::none;
            update(peer, attached->second, std::move(change), calls);
          }
          if (ended) calls.push_back([this] { events_.on_room(); });
        }
      } else {
        log::warn("router", "rank {}: a message of kind {} was dropped", peer.rank,
                  static_cast<int>(envelope.body_case()));
      }
    }
    for (const auto& call : calls)
      call();
  }

  // The requests stay with the replica until the cluster says it is down, as it does once its leader has lost its router.
  void on_down(const wire::Peer& peer, const Error& why) override {
    const std::lock_guard lock(mutex_);
    const auto attached = by_link_.find(peer.link);
    if (attached == by_link_.end()) return;
    log::debug("router", "replica {}: link down: {}", attached->second, why.message);
    replicas_[attached->second].link = 0;
    refresh(make_row(attached->second));
    by_link_.erase(attached);
  }

  template <class Which>
  void end_all(Which which, const Error& error) {
    Calls calls;
    {
      const std::lock_guard lock(mutex_);
      for (const RequestId id : which())
        end(id, {.reason = FinishReason::error, .error = error}, calls);
    }
    for (const auto& call : calls)
      call();
  }

  const RouterOptions options_;
  LoadBalancer& balancer_;  // under mutex_
  StoreClient& store_;
  RouterEvents& events_;
  const Time opened_;
  std::atomic<std::uint64_t> counter_{0};

  wire::Listener* bound_ = nullptr;  // to send by, from on_bound() on

  mutable std::mutex mutex_;  // guards what follows, and the balancer
  routing::Ledger ledger_;
  std::vector<ReplicaView> rows_;  // by id
  std::map<ReplicaId, Replica> replicas_;
  std::map<wire::LinkId, ReplicaId> by_link_;

  std::unique_ptr<wire::Listener> listener_;  // last: its thread ends before what it uses
};

}  // namespace

Result<std::unique_ptr<Router>> Router::open(RouterOptions options, LoadBalancer& balancer, StoreClient& store,
                                             RouterEvents& events) {
  auto made = std::make_unique<LinkRouter>(std::move(options), balancer, store, events);
  WEFT_TRY(made->open());
  return made;
}

}  // namespace weft
