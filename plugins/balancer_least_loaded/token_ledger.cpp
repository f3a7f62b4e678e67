#include "token_ledger.h"

#include <algorithm>
#include <utility>

namespace weft::least_loaded {
namespace {

// A leader that claims more than this is wrong, and must not be able to starve or flood a replica.
constexpr std::int64_t most_requests = 1'000'000;
constexpr std::int64_t most_tokens = std::int64_t{1} << 40;

bool plausible(const Event& stats) {
  return stats.waiting >= 0 && stats.running >= 0 && stats.waiting <= most_requests && stats.running <= most_requests &&
         stats.pending_prefill_tokens >= 0 && stats.pending_prefill_tokens <= most_tokens && stats.kv_usage >= 0 &&
         stats.kv_usage <= 1;  // false for NaN too
}

std::int64_t not_negative(std::int32_t tokens) { return std::max(tokens, 0); }

}  // namespace

Load* TokenLedger::find(ReplicaId replica) {
  const auto at = std::lower_bound(loads_.begin(), loads_.end(), replica,
                                   [](const Load& load, ReplicaId id) { return load.id < id; });
  return at == loads_.end() || at->id != replica ? nullptr : &*at;
}

// The replica's load in this incarnation or the later one that is known.
Load& TokenLedger::reach(ReplicaId replica, std::int64_t incarnation) {
  Load* load = find(replica);
  if (load == nullptr) {
    const auto at = std::lower_bound(loads_.begin(), loads_.end(), replica,
                                     [](const Load& other, ReplicaId id) { return other.id < id; });
    load = &*loads_.insert(at, Load{.id = replica, .requests = {}, .stats_sequence = {}});
  }
  if (incarnation > load->incarnation) {
    clear(*load);
    load->incarnation = incarnation;
    load->left = false;
  }
  return *load;
}

// The charge that an event of a running request means: it is on that replica, in the incarnation that lives there.
TokenLedger::Charge* TokenLedger::current(const Event& event) {
  const auto found = charges_.find(event.request);
  if (found == charges_.end() || found->second.replica != event.replica) return nullptr;
  const Load* const load = find(event.replica);
  return load != nullptr && load->incarnation == event.incarnation ? &found->second : nullptr;
}

void TokenLedger::put(RequestId request, Charge charge, Load& load) {
  charge.replica = load.id;
  charge.order = next_order_++;
  load.prefill += charge.prefill;
  load.decode += charge.decode;
  load.requests.emplace(charge.order, request);
  charges_.insert_or_assign(request, charge);
}

void TokenLedger::remove(RequestId request) {
  const auto found = charges_.find(request);
  if (found == charges_.end()) return;
  if (Load* const load = find(found->second.replica)) {
    load->prefill -= found->second.prefill;
    load->decode -= found->second.decode;
    load->requests.erase(found->second.order);
  }
  charges_.erase(found);
}

void TokenLedger::clear(Load& load) {
  for (const auto& [order, request] : load.requests)
    charges_.erase(request);
  load = Load{.id = load.id, .incarnation = load.incarnation, .left = load.left, .requests = {}, .stats_sequence = {}};
}

void TokenLedger::work_off_prefill(Charge& charge, Load& load, std::int64_t tokens) {
  const std::int64_t done = std::min(tokens, charge.prefill);
  charge.prefill -= done;
  load.prefill -= done;
}

void TokenLedger::charge(const RequestView& request, ReplicaId replica, std::int64_t incarnation) {
  remove(request.id);
  Load& load = reach(replica, incarnation);
  load.left = false;
  // At least one token, so that a request that claims to cost nothing still counts.
  const std::int64_t decode = std::max<std::int64_t>(1, not_negative(request.max_tokens));
  put(request.id, {.prefill = not_negative(request.prompt_tokens), .decode = decode, .max_tokens = decode}, load);
}

void TokenLedger::observe(const Event& event, Time now) {
  switch (event.kind) {
    case Event::Kind::dispatched: return on_dispatched(event);
    case Event::Kind::first_token:
    case Event::Kind::progress: return on_progress(event);
    case Event::Kind::finished:
    case Event::Kind::dropped: return on_end(event);
    case Event::Kind::stats: return on_stats(event, now);
    case Event::Kind::joined: return on_joined(event);
    case Event::Kind::left: return on_left(event);
  }
}

// The router knows best where a request is. A request that nobody picked for, or that has ended, is not charged anew: its
// end may have been and would never come again.
void TokenLedger::on_dispatched(const Event& event) {
  const auto found = charges_.find(event.request);
  if (found == charges_.end() || event.replica < 0) return;
  const Load* const known = find(event.replica);
  if (known != nullptr &&
      (event.incarnation < known->incarnation || (known->left && event.incarnation == known->incarnation)))
    return;
  if (Charge* const here = current(event); here != nullptr && (here->confirmed || here->generated > 0)) {
    here->confirmed = true;
    return;
  }
  Charge charge = found->second;
  charge.confirmed = true;
  charge.generated = 0;
  if (event.prompt_tokens > 0) charge.prefill = event.prompt_tokens;
  if (event.max_tokens > 0) charge.decode = event.max_tokens;
  charge.max_tokens = charge.decode;
  remove(event.request);
  put(event.request, charge, reach(event.replica, event.incarnation));
}

void TokenLedger::on_progress(const Event& event) {
  Charge* const charge = current(event);
  if (charge == nullptr) return;
  const std::int32_t generated =
      event.kind == Event::Kind::first_token ? std::max(event.generated, 1) : event.generated;
  if (generated < charge->generated || generated <= 0) return;
  Load& load = *find(event.replica);
  work_off_prefill(*charge, load, charge->prefill);
  const std::int64_t left = std::max<std::int64_t>(0, charge->max_tokens - generated);
  load.decode += left - charge->decode;
  charge->decode = left;
  charge->generated = generated;
}

void TokenLedger::on_end(const Event& event) {
  const bool before_dispatch = event.kind == Event::Kind::dropped && event.replica < 0;
  if (before_dispatch || current(event) != nullptr) remove(event.request);
}

void TokenLedger::on_joined(const Event& event) {
  if (event.replica < 0) return;
  Load& load = reach(event.replica, event.incarnation);
  if (event.incarnation == load.incarnation) load.left = false;
}

void TokenLedger::on_left(const Event& event) {
  Load* const load = find(event.replica);
  if (load == nullptr || event.incarnation < load->incarnation) return;
  load->incarnation = event.incarnation;
  load->left = true;
  clear(*load);
}

// Stats cannot make a replica or raise its incarnation: only the router's own calls do.
//
// The leader sees prompts computed chunk by chunk, prefix hits, and what other routers gave it; we see what is still on its
// way there. Where it has at least as many requests as we charged, all of ours have arrived and its figure for prompt
// tokens holds: ours are worked off oldest first, as its queue is. What it has beyond ours is foreign load.
void TokenLedger::on_stats(const Event& event, Time now) {
  if (event.replica < 0 || !plausible(event)) return;
  Load* const known = find(event.replica);
  if (known == nullptr || known->incarnation != event.incarnation || known->left) return;
  Load& load = *known;
  if (load.stats_sequence && event.stats_sequence <= *load.stats_sequence) return;
  load.stats_sequence = event.stats_sequence;

  const auto ours = static_cast<std::int64_t>(load.requests.size());
  const std::int64_t theirs = std::int64_t{event.waiting} + event.running;
  const std::int64_t mean_decode = ours == 0 ? 0 : load.decode / ours;
  load.foreign = std::max<std::int64_t>(0, event.pending_prefill_tokens - load.prefill) +
                 std::max<std::int64_t>(0, theirs - ours) * std::max<std::int64_t>(1, mean_decode);
  load.foreign_until = now > Time::max() - stats_ttl_ ? Time::max() : now + stats_ttl_;
  if (theirs < ours) return;
  std::int64_t computed = load.prefill - event.pending_prefill_tokens;
  for (auto at = load.requests.begin(); at != load.requests.end() && computed > 0; ++at) {
    Charge& charge = charges_.at(at->second);
    const std::int64_t before = charge.prefill;
    work_off_prefill(charge, load, computed);
    computed -= before - charge.prefill;
  }
}

}  // namespace weft::least_loaded
