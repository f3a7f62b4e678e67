// The links that leaders dial: attaching, what steps gave, figures. All on the listener's thread.
#include <fmt/format.h>

#include "core/routing/link_router.h"
#include "core/telemetry/log.h"
#include "core/wire/link_state.h"

namespace weft::routing {
namespace {

constexpr std::int32_t most_capacity = 1 << 20;  // requests a replica may say that it takes at once
constexpr ReplicaId most_replicas = 1 << 16;

bool sane(const wire::Stats& stats) {
  return stats.waiting() >= 0 && stats.running() >= 0 && stats.kv_usage() >= 0 && stats.kv_usage() <= 1 &&
         stats.pending_prefill_tokens() >= 0;
}

}  // namespace

Status LinkRouter::on_open(const wire::Peer& peer) {
  if (peer.role == wire::ROLE_LEADER) return {};
  return fail(ErrorCode::refused, "this port is for leaders");
}

void LinkRouter::on_message(const wire::Peer& peer, const wire::Envelope& envelope) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    const auto attached = by_link_.find(peer.link);
    if (attached == by_link_.end()) {
      if (envelope.has_attach())
        attach(peer, envelope.attach(), calls);
      else
        log::warn("router", "rank {}: a {} of a link that is not attached was dropped", peer.rank,
                  wire::body_name(envelope));
    } else if (envelope.has_stats()) {
      take_stats(peer, attached->second, envelope.stats());
    } else if (envelope.has_step_output()) {
      take_output(peer, attached->second, envelope.step_output(), calls);
    } else {
      log::warn("router", "rank {}: a {} was dropped", peer.rank, wire::body_name(envelope));
    }
  }
  for (const auto& call : calls)
    call();
}

// The requests stay with the replica until the cluster says it is down, as it does once its leader has lost its router.
void LinkRouter::on_down(const wire::Peer& peer, const Error& why) {
  const std::lock_guard lock(mutex_);
  detach(peer, why.message);
}

void LinkRouter::attach(const wire::Peer& peer, const wire::Attach& attach, Calls& calls) {
  const bool possible = attach.replica() >= 0 && attach.replica() < most_replicas && attach.capacity() >= 1 &&
                        attach.capacity() <= most_capacity;
  const auto known = replicas_.find(attach.replica());
  // What an incarnation said on a link that was lost may be missing: it cannot go on with another.
  if (!possible || (known != replicas_.end() && peer.incarnation <= known->second.attached_incarnation)) {
    log::warn("router", "rank {}: an Attach for replica {} (capacity {}, incarnation {}) was refused", peer.rank,
              attach.replica(), attach.capacity(), peer.incarnation);
    return bound_->close(peer.link, "this replica has attached already, or the Attach is wrong");
  }
  ReplicaView& row = make_row(attach.replica());
  Replica& replica = replicas_[attach.replica()];
  if (replica.link != 0) by_link_.erase(replica.link);  // of an earlier incarnation
  replica.link = peer.link;
  replica.attached_incarnation = peer.incarnation;
  replica.stats_sequence = 0;
  by_link_[peer.link] = attach.replica();
  row.capacity = attach.capacity();
  refresh(row);
  log::debug("router", "replica {}.{} attached, takes {} requests at once", attach.replica(), peer.incarnation,
             attach.capacity());
  calls.push_back([this] { events_.on_room(); });
}

void LinkRouter::detach(const wire::Peer& peer, const std::string& why) {
  const auto attached = by_link_.find(peer.link);
  if (attached == by_link_.end()) return;
  log::debug("router", "replica {}: link down: {}", attached->second, why);
  replicas_[attached->second].link = 0;
  refresh(make_row(attached->second));
  by_link_.erase(attached);
}

void LinkRouter::take_output(const wire::Peer& peer, ReplicaId id, const wire::StepOutput& output, Calls& calls) {
  auto updates = wire::from_wire(output);
  if (!updates) {
    log::error("router", "rank {}: {}; its link is closed", peer.rank, updates.error().message);
    // At once: what comes after it on this link would have a gap before it.
    detach(peer, updates.error().message);
    return bound_->close(peer.link, updates.error().message);
  }
  bool ended = false;
  for (wire::RequestUpdate& change : *updates) {
    ended |= change.finish_reason != FinishReason::none;
    update(peer, id, std::move(change), calls);
  }
  if (ended) calls.push_back([this] { events_.on_room(); });
}

void LinkRouter::update(const wire::Peer& peer, ReplicaId id, wire::RequestUpdate change, Calls& calls) {
  LedgerEntry* entry = ledger_.find(change.request, id, peer.incarnation);
  if (entry == nullptr)
    return log::debug("router", "replica {}: an update of request {:x}, which is not its, was dropped", id,
                      change.request);
  if (!change.prompt_logprobs.empty() || !change.logprobs.empty()) {
    ledger_.score(*entry, change.prompt_logprobs.size());
    calls.push_back([this, request = change.request, prompt = std::move(change.prompt_logprobs),
                     generated = std::move(change.logprobs)] { events_.on_logprobs(request, prompt, generated); });
  }
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

void LinkRouter::take_stats(const wire::Peer& peer, ReplicaId id, const wire::Stats& stats) {
  Replica& replica = replicas_[id];
  if (stats.stats_sequence() <= replica.stats_sequence) return;
  if (!sane(stats)) return log::warn("router", "rank {}: figures that cannot be were dropped", peer.rank);
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

}  // namespace weft::routing
