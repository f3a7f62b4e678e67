#include "worker/leader.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/telemetry/log.h"
#include "engine/sample/validate.h"
#include "worker/guarded.h"

namespace weft::worker {
namespace {

constexpr Duration stats_interval = std::chrono::milliseconds(100);

// A buffer over a string's bytes.
Buffer over(std::string& bytes) { return {.data = bytes.data(), .size = bytes.size()}; }

}  // namespace

void Leader::RouterLink::on_message(const wire::Envelope& envelope) { leader->put(FromRouter{index, envelope}); }
void Leader::RouterLink::on_down(const Error& why) { leader->put(RouterLost{why}); }

Leader::Leader(Rank& rank, HeadLink& head, const Environment& environment, Progress& progress)
    : rank_(rank),
      head_(head),
      environment_(environment),
      progress_(progress),
      plans_(rank.control()),
      stop_watch_(rank.config().model.path) {}

Leader::~Leader() {
  if (settling_.joinable()) settling_.join();  // bounded by the settlement's own timeout
  for (const auto& link : links_)
    link->dialer.reset();
}

std::int64_t Leader::now_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count();
}

// ---- before the first request ----

Status Leader::compare_replicas(const std::string& weights_hash) {
  const wire::GroupInfo& info = rank_.assign().replicas();
  if (info.size() <= 1) return {};
  const auto& timeouts = rank_.config().timeouts;
  WEFT_ASSIGN(group,
              rank_.open_leaders(info, Deadline::in(timeouts.load)));  // the slowest replica may still be loading
  const Deadline deadline = Deadline::in(timeouts.collective);
  const std::string mine = rank_.assign().config_hash();
  std::string first = mine;
  WEFT_ASSIGN(broadcast, group->broadcast(over(first), DType::u8, 0, {}));
  WEFT_TRY(broadcast.wait(deadline));
  if (first != mine)
    return fail(ErrorCode::refused, fmt::format("configuration hash {} here, {} in replica 0", mine, first));
  log::debug("worker", "configuration {} is the one of replica 0", first);

  std::string sent = weights_hash;
  std::string all(sent.size() * static_cast<std::size_t>(info.size()), '\0');
  WEFT_ASSIGN(gather, group->all_gather(over(sent), over(all), DType::u8, {}));
  WEFT_TRY(gather.wait(deadline));
  std::map<std::string, std::vector<std::int32_t>> holders;
  for (std::int32_t replica = 0; replica < info.size(); ++replica)
    holders[all.substr(static_cast<std::size_t>(replica) * sent.size(), sent.size())].push_back(replica);
  log::debug("worker", "compared weights with {} replicas: {} distinct hash(es)", info.size(), holders.size());
  WEFT_TRY(group->close(deadline));
  if (holders.size() == 1) return {};
  const auto usual = std::max_element(holders.begin(), holders.end(),
                                      [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  std::string odd;
  for (const auto& [hash, replicas] : holders)
    if (hash != usual->first)
      odd += fmt::format("{}replica {} loaded weights that hash to {}", odd.empty() ? "" : "; ",
                         fmt::join(replicas, ", "), wire::to_hexadecimal(hash));
  return fail(ErrorCode::refused,
              fmt::format("the copies differ: {}; replica {} has {}. Do all nodes have the same model files?", odd,
                          fmt::join(usual->second, ", "), wire::to_hexadecimal(usual->first)));
}

Status Leader::attach() {
  const Config& config = rank_.config();
  const Deadline deadline = Deadline::in(config.timeouts.join);
  WEFT_ASSIGN(scheduler, engine::Scheduler::create({.max_batch_tokens = config.engine.max_batch_tokens,
                                                    .max_requests = config.engine.max_requests,
                                                    .block_size = config.engine.block_size,
                                                    .blocks = rank_.kv_blocks(),
                                                    .max_context = rank_.runner().max_context(),
                                                    .vocabulary = rank_.runner().config().shape.vocabulary,
                                                    .end_ids = rank_.runner().config().end_ids}));
  scheduler_.emplace(std::move(scheduler));
  // The head's own router has epoch 1 and is published while workers start; others may be there beside it.
  WEFT_TRY_CONTEXT(head_.store().wait({"router/1"}, deadline), "waiting for the head's router");
  WEFT_ASSIGN(routers, head_.store().list("router/", deadline));
  for (const std::string& key : routers) {
    WEFT_ASSIGN(endpoint, head_.store().get(key, deadline));
    auto link = std::make_unique<RouterLink>();
    link->leader = this;
    link->index = links_.size();
    WEFT_ASSIGN_CONTEXT(dialer,
                        wire::Dialer::dial({.name = "router-link",
                                            .endpoint = endpoint,
                                            .token = environment_.token,
                                            .role = wire::ROLE_LEADER,
                                            .rank = environment_.rank,
                                            .incarnation = environment_.incarnation,
                                            .limits = {.dead_after = config.timeouts.lease},
                                            .log = [](std::string text) { log::warn("link", "{}", text); }},
                                           *link, deadline),
                        key);
    link->dialer = std::move(dialer);
    wire::Envelope envelope;
    wire::Attach& attach = *envelope.mutable_attach();
    attach.set_replica(rank_.assign().dp());
    attach.set_capacity(config.engine.max_requests);
    attach.set_max_context(rank_.runner().max_context());
    attach.set_kv_tokens(std::int64_t{rank_.kv_blocks()} * config.engine.block_size);
    WEFT_TRY(link->dialer->send(std::move(envelope)));
    links_.push_back(std::move(link));
  }
  log::debug("worker", "attached to {} router(s)", links_.size());
  return {};
}

// ---- the inbox ----

void Leader::put(Message message) {
  {
    const std::lock_guard lock(mutex_);
    inbox_.push_back(std::move(message));
  }
  arrived_.notify_one();
}

void Leader::deliver(std::optional<wire::Envelope> from_head) { put(FromHead{std::move(from_head)}); }

std::deque<Leader::Message> Leader::take(Time until) {
  std::unique_lock lock(mutex_);
  arrived_.wait_until(lock, until, [&] { return !inbox_.empty(); });
  return std::exchange(inbox_, {});
}

Status Leader::handle(Message& message) {
  if (auto* head = std::get_if<FromHead>(&message)) {
    if (!head->envelope) return fail(ErrorCode::unavailable, "the head is gone");
    if (head->envelope->has_stop()) stopping_ = true;
    if (head->envelope->has_drain()) draining_ = true;
    if (head->envelope->has_settle()) settle(head->envelope->settle());
    return {};
  }
  if (const auto* lost = std::get_if<RouterLost>(&message))
    return stopping_ ? Status{} : fail(annotate(lost->why, "router"));
  const auto& [router, envelope] = std::get<FromRouter>(message);
  if (envelope.has_submit())
    submit(router, envelope.submit());
  else if (envelope.has_cancel())
    (void)scheduler_->cancel(envelope.cancel().request());  // unknown: it has just ended
  else
    log::warn("worker", "a message of kind {} from a router was dropped", static_cast<int>(envelope.body_case()));
  return {};
}

void Leader::submit(std::size_t router, const wire::Submit& submit) {
  Result<Request> request = wire::from_wire(submit);
  if (!request) return refuse(router, submit.request(), request.error());
  const Status admitted = [&]() -> Status {
    const engine::ModelConfig& model = rank_.runner().config();
    WEFT_TRY(engine::validate(request->sampling, request->stop,
                              {.vocabulary = model.shape.vocabulary, .end_ids = model.end_ids}, request->logprobs));
    WEFT_TRY(stop_watch_.add(*request));
    return scheduler_->add(*request, now_ms());
  }();
  if (!admitted) {
    stop_watch_.remove(request->id);
    return refuse(router, request->id, admitted.error());
  }
  routers_of_[request->id] = router;
}

void Leader::refuse(std::size_t router, RequestId request, const Error& error) {
  wire::Envelope envelope;
  wire::add_update({.request = request, .finish_reason = FinishReason::error, .error = error},
                   *envelope.mutable_step_output());
  ++delivered_requests_;
  (void)links_[router]->dialer->send(std::move(envelope));  // a lost link is told by on_down
}

// ---- the loop ----

Status Leader::run() {
  const Duration keepalive = rank_.config().timeouts.lease / 3;
  Time next_keepalive = Clock::now();
  while (!stopping_) {
    const bool idle = scheduler_->idle();
    progress_.busy.store(!idle);
    if (idle) send_stats(false);
    for (Message& message : take(idle ? next_keepalive : Time::min()))
      WEFT_TRY(handle(message));
    if (stopping_) break;
    const engine::StepPlan plan = scheduler_->plan(now_ms());
    send_events();  // cancellations, expiries
    if (plan.sequences.empty()) {
      if (Clock::now() < next_keepalive) continue;
      WEFT_TRY(plans_.send(plan, Deadline::in(rank_.config().timeouts.collective)));
    } else {
      WEFT_TRY(step(plan));
      send_stats(false);
    }
    next_keepalive = Clock::now() + keepalive;
  }
  send_stats(true);
  return {};
}

Status Leader::step(const engine::StepPlan& plan) {
  WEFT_TRY(plans_.send(plan, Deadline::in(rank_.config().timeouts.collective)));
  WEFT_ASSIGN(logits, rank_.runner().forward(
                          plan, [&](std::size_t sequence, std::int32_t position, std::span<const float> row) {
                            score(plan.sequences[sequence], position, row);
                          }));
  const engine::StepTiming timing = rank_.runner().last_step();
  ++steps_;
  step_seconds_ += timing.seconds;
  collective_seconds_ += timing.collective_seconds;
  std::vector<TokenId> sampled;
  for (const engine::SequenceStep& sequence : plan.sequences) {
    if (!sequence.sample) continue;
    const Result<TokenId> token = sample(sequence, logits.row(static_cast<std::int32_t>(sampled.size())));
    if (!token) fail_sequence(sequence.request, token.error());
    sampled.push_back(token.value_or(0));
  }
  WEFT_TRY(scheduler_->commit(plan, sampled));
  progress_.step.store(plan.step);
  send_events();
  return {};
}

Result<TokenId> Leader::sample(const engine::SequenceStep& sequence, std::span<const float> logits) {
  const auto view = scheduler_->find(sequence.request);
  if (!view) return TokenId{0};  // ended since: nobody looks at its sample
  scratch_.assign(logits.begin(), logits.end());
  if (view->generated.size() < static_cast<std::size_t>(view->stop.min_tokens)) forbid_ends(*view);
  WEFT_ASSIGN(token,
              sampler_.sample(scratch_, view->sampling, view->prompt, view->generated, view->choice, view->position()));
  if (view->logprobs.generated)
    WEFT_TRY(scores_.add_sampled(sequence.request, logits, token, *view->logprobs.generated));
  return token;
}

// No end id and no stop id before min_tokens.
void Leader::forbid_ends(const engine::SequenceView& view) {
  const auto forbid = [&](const std::vector<TokenId>& ids) {
    for (const TokenId id : ids)
      scratch_[static_cast<std::size_t>(id)] = -std::numeric_limits<float>::infinity();
  };
  if (!view.stop.ignore_eos) forbid(rank_.runner().config().end_ids);
  forbid(view.stop.stop_token_ids);
}

// The logits of a prompt's token say how probable the next one was.
void Leader::score(const engine::SequenceStep& sequence, std::int32_t position, std::span<const float> logits) {
  const auto view = scheduler_->find(sequence.request);
  if (!view || !view->logprobs.prompt) return;  // ended since
  const TokenId next = view->prompt[static_cast<std::size_t>(position) + 1];
  if (const Status scored = scores_.add_prompt(sequence.request, logits, next, *view->logprobs.prompt); !scored)
    fail_sequence(sequence.request, scored.error());
}

void Leader::fail_sequence(RequestId request, const Error& why) {
  errors_[request] = why;
  (void)scheduler_->finish(request, FinishReason::error);
}

void Leader::send_events() {
  for (const wire::RequestUpdate& update : scores_.take_prompts()) {
    const auto router = routers_of_.find(update.request);
    if (router == routers_of_.end()) continue;
    wire::Envelope envelope;
    wire::add_update(update, *envelope.mutable_step_output());
    envelope.mutable_step_output()->set_step(progress_.step.load());
    (void)links_[router->second]->dialer->send(std::move(envelope));
  }
  const std::vector<engine::SequenceEvent> events = scheduler_->take_events();
  if (events.empty()) return;
  std::vector<wire::Envelope> envelopes(links_.size());
  for (const engine::SequenceEvent& event : events) {
    wire::RequestUpdate update{.request = event.request, .finish_reason = event.finish};
    if (event.token) update.tokens.push_back(*event.token);
    const auto router = routers_of_.find(event.request);
    if (router == routers_of_.end()) continue;  // its end has been sent: the end of what a stop string ended
    const bool ends_itself = event.finish == FinishReason::stop || event.finish == FinishReason::length;
    if (const auto match = stop_watch_.push(event.request, update.tokens, ends_itself)) {
      update.finish_reason = FinishReason::stop;
      update.matched_stop = match->matched;
      update.text_offset = match->text_offset;
      (void)scheduler_->finish(event.request, FinishReason::stop);
    }
    scores_.take_sampled(update);
    delivered_tokens_ += static_cast<std::int64_t>(update.tokens.size());
    if (update.finish_reason == FinishReason::error) {
      const auto error = errors_.find(event.request);
      update.error = error == errors_.end() ? Error{ErrorCode::internal, "ended for no stated reason"} : error->second;
    }
    wire::add_update(update, *envelopes[router->second].mutable_step_output());
    envelopes[router->second].mutable_step_output()->set_step(progress_.step.load());
    if (update.finish_reason == FinishReason::none) continue;
    ++delivered_requests_;
    routers_of_.erase(router);
    errors_.erase(event.request);
    stop_watch_.remove(event.request);
    scores_.remove(event.request);
  }
  for (std::size_t i = 0; i < links_.size(); ++i)
    if (envelopes[i].has_step_output()) (void)links_[i]->dialer->send(std::move(envelopes[i]));
}

void Leader::send_stats(bool always) {
  const Time now = Clock::now();
  if (!always && now < stats_sent_ + stats_interval) return;
  stats_sent_ = now;
  const engine::SchedulerStats stats = scheduler_->stats();
  wire::Envelope envelope;
  wire::Stats& out = *envelope.mutable_stats();
  out.set_stats_sequence(++stats_sequence_);
  out.set_waiting(stats.waiting);
  out.set_running(stats.running);
  out.set_pending_prefill_tokens(stats.pending_prefill_tokens);
  out.set_kv_usage(stats.kv_usage);
  out.set_steps(steps_);
  out.set_step_seconds(step_seconds_);
  out.set_collective_seconds(collective_seconds_);
  out.set_preemptions(stats.preemptions);
  for (const auto& link : links_)
    (void)link->dialer->send(envelope);
}

// ---- the settlement ----

void Leader::settle(const wire::Settle& settle) {
  send_stats(true);
  if (settling_.joinable()) settling_.join();  // one after the other: an earlier one has its own timeout
  settling_ = std::thread([this, settle, requests = delivered_requests_, tokens = delivered_tokens_] {
    (void)pthread_setname_np(pthread_self(), "settle");
    wire::Envelope envelope;
    *envelope.mutable_settled() = settle_over_group(settle, requests, tokens);
    (void)head_.send(std::move(envelope));
  });
}

wire::Settled Leader::settle_over_group(const wire::Settle& settle, std::int64_t requests, std::int64_t tokens) {
  wire::Settled settled;
  settled.set_requests(requests);
  settled.set_tokens(tokens);
  std::int64_t counters[2] = {requests, tokens};
  const Status reduced = guarded("the communicator", [&]() -> Status {
    if (settle.group().size() <= 1) return {};
    const Deadline deadline = Deadline::in(std::chrono::milliseconds(settle.timeout_ms()));
    WEFT_ASSIGN(group, rank_.open_leaders(settle.group(), deadline));
    WEFT_ASSIGN(work, group->all_reduce({.data = counters, .size = sizeof counters}, DType::i64, ReduceOp::sum, {}));
    WEFT_TRY(work.wait(deadline));
    return group->close(deadline);
  });
  if (!reduced) *settled.mutable_error() = wire::to_wire(reduced.error());
  settled.set_total_requests(counters[0]);
  settled.set_total_tokens(counters[1]);
  log::debug("worker", "settled: {} requests, {} tokens here; {} and {} in all", requests, tokens, counters[0],
             counters[1]);
  return settled;
}

}  // namespace weft::worker
