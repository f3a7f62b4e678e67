#include "core/routing/router.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/routing/link_router.h"
#include "core/telemetry/log.h"

namespace weft::routing {
namespace {

constexpr Duration publish_deadline = std::chrono::seconds(10);

}  // namespace

LinkRouter::LinkRouter(RouterOptions options, LoadBalancer& balancer, StoreClient& store, RouterEvents& events)
    : options_(std::move(options)), balancer_(balancer), store_(store), events_(events), opened_(Clock::now()) {}

LinkRouter::~LinkRouter() {
  if (listener_ == nullptr) return;
  (void)store_.remove(fmt::format("router/{}", options_.epoch), Deadline::in(std::chrono::seconds(1)));
  bound_->post([this] {
    const Error closed{ErrorCode::cancelled, "the router was closed", true};
    end_all(
        [this] {
          closing_ = true;  // what an event's handler submits now would never end
          return ledger_.all();
        },
        closed);
  });
  listener_.reset();  // runs what was posted, joins the thread
}

Status LinkRouter::open() {
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

// ---- requests ----

Result<ReplicaId> LinkRouter::submit(Request request, std::optional<ReplicaId> replica) {
  const auto hashes = block_hashes(request.prompt, static_cast<std::size_t>(options_.block_size));
  const RequestView view{.id = request.id,
                         .prompt_tokens = static_cast<std::int32_t>(request.prompt.size() + request.emitted.size()),
                         .max_tokens = request.stop.max_tokens - static_cast<std::int32_t>(request.emitted.size()),
                         .block_hashes = hashes,
                         .affinity = {},
                         .priority = request.priority};
  const std::lock_guard lock(mutex_);
  if (closing_) return fail(ErrorCode::failed_precondition, "the router is closing");
  if (ledger_.find(request.id) != nullptr)
    return fail(ErrorCode::already_exists, fmt::format("request {:x} has been submitted", request.id));
  WEFT_ASSIGN(chosen, choose(view, replica));
  return send_submit(view, std::move(request), chosen);
}

Result<ReplicaId> LinkRouter::choose(const RequestView& view, std::optional<ReplicaId> named) {
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
  if (row == nullptr || !row->eligible) {
    charge_dropped(view.id, decision.replica);
    return fail(ErrorCode::internal, fmt::format("balancer: picked replica {}, which takes no requests now ({})",
                                                 decision.replica, decision.reason));
  }
  log::trace("router", "request {:x} -> replica {}: {}", view.id, decision.replica, decision.reason);
  return decision.replica;
}

Result<ReplicaId> LinkRouter::send_submit(const RequestView& view, Request request, ReplicaId chosen) {
  ReplicaView& row = *find_row(chosen);
  wire::Envelope envelope;
  *envelope.mutable_submit() = wire::to_wire(request);
  if (const Status sent = bound_->send(replicas_[chosen].link, std::move(envelope)); !sent) {
    charge_dropped(view.id, chosen);
    // Too large for any link is the request's own fault; all else is the link's.
    if (sent.error().code == ErrorCode::invalid_argument) return fail(annotate(sent.error(), "request"));
    return fail(ErrorCode::unavailable, fmt::format("replica {}: {}", chosen, sent.error().message), true);
  }
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

void LinkRouter::charge_dropped(RequestId request, ReplicaId replica) {
  balancer_.observe({.kind = Event::Kind::dropped, .replica = replica, .request = request}, Clock::now());
}

Status LinkRouter::cancel(RequestId request) {
  const std::lock_guard lock(mutex_);
  const LedgerEntry* entry = ledger_.find(request);
  if (entry == nullptr) return fail(ErrorCode::not_found, fmt::format("request {:x} is not under way", request));
  wire::Envelope envelope;
  envelope.mutable_cancel()->set_request(request);
  // A lost link needs no cancelling: the replica is down, and its requests end with that.
  (void)bound_->send(replicas_[entry->replica].link, std::move(envelope));
  return {};
}

std::int32_t LinkRouter::room(std::optional<ReplicaId> replica) const {
  const std::lock_guard lock(mutex_);
  std::int32_t sum = 0;
  for (const ReplicaView& row : rows_)
    if (row.eligible && (!replica || row.id == *replica)) sum += row.capacity - row.in_flight;
  return sum;
}

LedgerTotals LinkRouter::totals() const {
  const std::lock_guard lock(mutex_);
  return ledger_.totals();
}

std::map<ReplicaId, LeaderStats> LinkRouter::stats() const {
  const std::lock_guard lock(mutex_);
  std::map<ReplicaId, LeaderStats> all;
  for (const auto& [id, replica] : replicas_)
    all[id] = replica.stats;
  return all;
}

// ---- the cluster's word ----

void LinkRouter::set_ready(ReplicaId id, std::int64_t incarnation) {
  bound_->post([this, id, incarnation] {
    {
      const std::lock_guard lock(mutex_);
      ReplicaView& row = make_row(id);
      if (row.incarnation > incarnation) return;  // stale: it has been launched again
      row.incarnation = incarnation;
      row.in_flight = static_cast<std::int32_t>(ledger_.held_by(id, incarnation).size());
      replicas_[id].ready = true;
      replicas_[id].draining = false;
      balancer_.observe({.kind = Event::Kind::joined, .replica = id, .incarnation = incarnation}, Clock::now());
      refresh(row);
    }
    events_.on_room();
  });
}

void LinkRouter::set_draining(ReplicaId id) {
  bound_->post([this, id] {
    const std::lock_guard lock(mutex_);
    replicas_[id].draining = true;
    refresh(make_row(id));
  });
}

void LinkRouter::set_down(ReplicaId id, std::int64_t incarnation, const Error& why) {
  bound_->post([this, id, incarnation, why] {
    {
      const std::lock_guard lock(mutex_);
      ReplicaView& row = make_row(id);
      if (row.incarnation <= incarnation) {  // else it has been launched again, and only what the old one held ends
        replicas_[id].ready = false;
        balancer_.observe({.kind = Event::Kind::left, .replica = id, .incarnation = incarnation}, Clock::now());
        refresh(row);
      }
    }
    Error error = why;
    error.retryable = true;  // the request is good: another replica, or a later run, can answer it
    end_all([&] { return ledger_.held_by(id, incarnation); }, error);
    events_.on_room();
  });
}

// ---- under the lock ----

ReplicaView* LinkRouter::find_row(ReplicaId id) {
  const auto found = std::lower_bound(rows_.begin(), rows_.end(), id,
                                      [](const ReplicaView& row, ReplicaId wanted) { return row.id < wanted; });
  return found != rows_.end() && found->id == id ? &*found : nullptr;
}

ReplicaView& LinkRouter::make_row(ReplicaId id) {
  if (ReplicaView* row = find_row(id)) return *row;
  const auto place = std::lower_bound(rows_.begin(), rows_.end(), id,
                                      [](const ReplicaView& row, ReplicaId wanted) { return row.id < wanted; });
  return *rows_.insert(place, ReplicaView{.id = id});
}

void LinkRouter::refresh(ReplicaView& row) {
  const Replica& replica = replicas_[row.id];
  row.eligible = replica.ready && !replica.draining && replica.link != 0 &&
                 replica.attached_incarnation == row.incarnation && row.in_flight < row.capacity;
}

// Takes a request out and makes the call that tells its end.
void LinkRouter::end(RequestId id, Outcome outcome, Calls& calls) {
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

}  // namespace weft::routing

namespace weft {

Result<std::unique_ptr<Router>> Router::open(RouterOptions options, LoadBalancer& balancer, StoreClient& store,
                                             RouterEvents& events) {
  auto made = std::make_unique<routing::LinkRouter>(std::move(options), balancer, store, events);
  WEFT_TRY(made->open());
  return made;
}

}  // namespace weft
