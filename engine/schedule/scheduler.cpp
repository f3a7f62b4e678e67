#include "engine/schedule/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace weft::engine {
namespace {

bool contains(const std::vector<TokenId>& ids, TokenId id) noexcept {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

std::int64_t later(std::int64_t now_ms, std::int64_t wait_ms) noexcept {
  return now_ms > Sequence::no_deadline - wait_ms ? Sequence::no_deadline : now_ms + wait_ms;
}

}  // namespace

Result<Scheduler> Scheduler::create(SchedulerOptions options) {
  const auto at_least = [](const char* name, std::int32_t found, std::int32_t least) -> Status {
    if (found >= least) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("scheduler: {} is {}, expected at least {}", name, found, least));
  };
  WEFT_TRY(at_least("max_batch_tokens", options.max_batch_tokens, 1));
  WEFT_TRY(at_least("max_requests", options.max_requests, 1));
  WEFT_TRY(at_least("block_size", options.block_size, 1));
  WEFT_TRY(at_least("blocks", options.blocks, 1));
  WEFT_TRY(at_least("max_context", options.max_context, 2));
  WEFT_TRY(at_least("vocabulary", options.vocabulary, 0));
  return Scheduler(std::move(options));
}

Scheduler::Scheduler(SchedulerOptions options) : options_(std::move(options)), pool_(options_.blocks) {
  options_.max_requests = std::min(options_.max_requests, options_.max_batch_tokens);
}

// --- coming and going
// -----------------------------------------------------------------------------------------------

Status Scheduler::add(Request request, std::int64_t now_ms) {
  WEFT_TRY(check(request));
  Sequence& sequence = enter(std::move(request), now_ms);
  const bool has_generated = sequence.known() > sequence.prompt_size;
  if (const FinishReason reason = finish_reason(sequence); has_generated && reason != FinishReason::none)
    end(sequence, reason);
  else if (sequence.scores_only() && sequence.scored == sequence.scores_wanted)
    end(sequence, FinishReason::length);
  return {};
}

Status Scheduler::check(const Request& request) const {
  // Each refusal is the answer of that very request: its number here would say nothing to who sent it.
  if (by_request_.count(request.id) > 0)
    return fail(ErrorCode::already_exists, "a request with this id is waiting or running");
  if (request.prompt.empty()) return fail(ErrorCode::invalid_argument, "prompt is empty, expected at least one token");
  if (request.prompt.size() >= static_cast<std::size_t>(options_.max_context))
    return fail(ErrorCode::invalid_argument,
                fmt::format("prompt of {} tokens fills the context of {}: shorten it to {} or raise model.max_context",
                            request.prompt.size(), options_.max_context, options_.max_context - 1));
  const std::int32_t least = request.logprobs.prompt ? 0 : 1;
  if (request.stop.max_tokens < least)
    return fail(ErrorCode::invalid_argument,
                fmt::format("max_tokens is {}, expected at least {}", request.stop.max_tokens, least));
  if (request.prompt_scored < 0 || static_cast<std::size_t>(request.prompt_scored) >= request.prompt.size())
    return fail(ErrorCode::invalid_argument,
                fmt::format("prompt_scored is {}, expected 0 to {}", request.prompt_scored, request.prompt.size() - 1));
  if (request.deadline_ms < 0)
    return fail(ErrorCode::invalid_argument,
                fmt::format("deadline is {} ms, expected 0 (none) or more", request.deadline_ms));
  for (const auto* ids : {&request.prompt, &request.emitted}) {
    for (const TokenId id : *ids) {
      if (id >= 0 && (options_.vocabulary == 0 || id < options_.vocabulary)) continue;
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("prompt holds token id {}, expected 0 to {}", id,
                      options_.vocabulary == 0 ? std::numeric_limits<TokenId>::max() : options_.vocabulary - 1));
    }
  }
  // The last token is never an input, so it needs no place.
  const std::int32_t needed = blocks_for(final_size(request) - 1, options_.block_size);
  if (needed > pool_.capacity())
    return fail(
        ErrorCode::resource_exhausted,
        fmt::format("prompt of {} tokens and up to {} generated need {} blocks of {} tokens, the KV cache has "
                    "{}: ask for fewer tokens or raise engine.kv_memory",
                    request.prompt.size(), final_size(request) - static_cast<std::int32_t>(request.prompt.size()),
                    needed, options_.block_size, pool_.capacity()));
  return {};
}

std::int32_t Scheduler::final_size(const Request& request) const noexcept {
  const auto prompt = static_cast<std::int32_t>(request.prompt.size());
  return prompt + std::min(request.stop.max_tokens, options_.max_context - prompt);
}

Sequence& Scheduler::enter(Request request, std::int64_t now_ms) {
  Sequence* sequence = nullptr;
  if (vacant_.empty()) {
    sequence = &sequences_.emplace_back();
  } else {
    sequence = vacant_.back();
    vacant_.pop_back();
  }
  const std::int32_t size_at_end = final_size(request);
  const auto prompt_size = static_cast<std::int32_t>(request.prompt.size());
  std::vector<TokenId> tokens = std::move(request.prompt);
  tokens.insert(tokens.end(), request.emitted.begin(), request.emitted.end());
  *sequence = {.request = request.id,
               .arrival = ++arrivals_,
               .priority = request.priority,
               .choice = request.choice,
               .sampling = std::move(request.sampling),
               .stop = std::move(request.stop),
               .deadline_ms = request.deadline_ms > 0 ? later(now_ms, request.deadline_ms) : Sequence::no_deadline,
               .tokens = std::move(tokens),
               .prompt_size = prompt_size,
               .final_size = size_at_end,
               .logprobs = request.logprobs,
               .scored = request.logprobs.prompt ? request.prompt_scored : 0,
               .scores_wanted = request.logprobs.prompt ? prompt_size - 1 : 0};
  by_request_.emplace(sequence->request, sequence);
  waiting_.insert(sequence);
  waiting_tokens_ += sequence->known();
  if (sequence->deadline_ms != Sequence::no_deadline)
    deadlines_.emplace(sequence->deadline_ms, sequence->arrival, sequence);
  return *sequence;
}

bool Scheduler::finish(RequestId request, FinishReason reason) {
  const auto found = by_request_.find(request);
  if (found == by_request_.end() || reason == FinishReason::none) return false;
  Sequence& sequence = *found->second;
  end(sequence, reason);
  return true;
}

void Scheduler::end(Sequence& sequence, FinishReason reason) {
  if (events_.empty() || events_.back().request != sequence.request || events_.back().finish != FinishReason::none)
    events_.push_back({.request = sequence.request});
  events_.back().finish = reason;
  if (sequence.running) {
    leave_running(sequence);
  } else {
    leave_waiting(sequence);
  }
  if (sequence.deadline_ms != Sequence::no_deadline)
    deadlines_.erase({sequence.deadline_ms, sequence.arrival, &sequence});
  by_request_.erase(sequence.request);
  sequence = {};
  vacant_.push_back(&sequence);
}

void Scheduler::leave_waiting(Sequence& sequence) {
  waiting_.erase(&sequence);
  waiting_tokens_ -= sequence.known();
}

void Scheduler::leave_running(Sequence& sequence) {
  running_.erase(std::lower_bound(running_.begin(), running_.end(), &sequence, ServedBefore{}));
  for (const BlockId block : sequence.blocks)
    pool_.release(block);
  sequence.blocks.clear();
  sequence.cached = 0;
  sequence.running = false;
}

FinishReason Scheduler::finish_reason(const Sequence& sequence) const noexcept {
  const TokenId last = sequence.tokens.back();
  if (!sequence.stop.ignore_eos && contains(options_.end_ids, last)) return FinishReason::stop;
  if (contains(sequence.stop.stop_token_ids, last)) return FinishReason::stop;
  if (sequence.known() >= sequence.final_size) return FinishReason::length;
  return FinishReason::none;
}

void Scheduler::expire(std::int64_t now_ms) {
  while (!deadlines_.empty() && std::get<0>(*deadlines_.begin()) <= now_ms)
    end(*std::get<2>(*deadlines_.begin()), FinishReason::deadline);
}

// --- the next step
// ---------------------------------------------------------------------------------------------------

const StepPlan& Scheduler::plan(std::int64_t now_ms) {
  expire(now_ms);
  if (spare_.empty()) spare_.emplace_back();
  StepInFlight& step = spare_.back();
  step.plan.step = steps_++;
  step.planned = 0;
  step.samples.clear();
  step.scored.clear();
  std::int32_t rows_left = options_.max_batch_tokens;
  plan_decodes(step, rows_left);
  plan_prefills(step, rows_left);
  plan_newcomers(step, rows_left);
  step.plan.sequences.resize(step.planned);
  step.tables.resize(step.planned);
  if (step.planned == 0) return step.plan;
  in_flight_.push_back(std::move(step));
  spare_.pop_back();
  return in_flight_.back().plan;
}

void Scheduler::plan_decodes(StepInFlight& step, std::int32_t& rows_left) {
  // Running sequences are never more than max_batch_tokens, so a row is left for each.
  for (std::size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = *running_[i];
    if (!sequence.decoding() || sequence.size() >= sequence.final_size) continue;
    if (blocks_for(sequence.cached + 1, options_.block_size) > static_cast<std::int32_t>(sequence.blocks.size())) {
      if (!make_room(i)) continue;
      sequence.blocks.push_back(*pool_.allocate());
    }
    plan_rows(step, sequence, 1);
    --rows_left;
  }
}

void Scheduler::plan_prefills(StepInFlight& step, std::int32_t& rows_left) {
  for (Sequence* sequence : running_) {
    if (rows_left == 0) return;
    if (sequence->decoding()) continue;
    const std::int32_t rows = std::min(rows_left, sequence->to_compute() - sequence->cached);
    plan_rows(step, *sequence, rows);
    rows_left -= rows;
  }
}

void Scheduler::plan_newcomers(StepInFlight& step, std::int32_t& rows_left) {
  while (rows_left > 0 && !waiting_.empty() && running_.size() < static_cast<std::size_t>(options_.max_requests)) {
    Sequence& sequence = **waiting_.begin();
    // A preempted one whose samples are in flight cannot name more than the last of them in a plan: it waits for them.
    // So does one whose last scores are.
    if (sequence.in_flight > 0 || (sequence.scores_only() && sequence.scored == sequence.scores_wanted)) return;
    const std::int32_t needed = blocks_for(sequence.to_compute(), options_.block_size);
    if (needed + static_cast<std::int32_t>(running_.size()) > pool_.free()) return;
    leave_waiting(sequence);
    sequence.running = true;
    sequence.admission = ++admissions_;
    running_.insert(std::upper_bound(running_.begin(), running_.end(), &sequence, ServedBefore{}), &sequence);
    for (std::int32_t i = 0; i < needed; ++i)
      sequence.blocks.push_back(*pool_.allocate());
    const std::int32_t rows = std::min(rows_left, sequence.to_compute());
    plan_rows(step, sequence, rows);
    rows_left -= rows;
  }
}

// Preempts from the end of the order, never the sequence itself or one before it, until a block is free.
bool Scheduler::make_room(std::size_t running_index) {
  while (pool_.free() == 0 && running_.size() > running_index + 1)
    preempt(*running_.back());
  return pool_.free() > 0;
}

void Scheduler::preempt(Sequence& sequence) {
  leave_running(sequence);
  waiting_.insert(&sequence);
  waiting_tokens_ += sequence.known();
  ++preemptions_;
}

void Scheduler::plan_rows(StepInFlight& step, Sequence& sequence, std::int32_t rows) {
  if (step.planned == step.plan.sequences.size()) {
    step.plan.sequences.emplace_back();
    step.tables.push_back(0);
  }
  std::uint64_t& table = step.tables[step.planned];
  SequenceStep& planned = step.plan.sequences[step.planned++];
  planned.request = sequence.request;
  planned.start = sequence.cached;
  const std::int32_t end = sequence.cached + rows;
  planned.tokens.assign(sequence.tokens.begin() + std::min(sequence.cached, sequence.known()),
                        sequence.tokens.begin() + std::min(end, sequence.known()));
  planned.tail.reset();
  if (end > sequence.known()) planned.tail = sequence.newest_sample;
  if (table != sequence.admission) planned.blocks.clear();
  table = sequence.admission;
  const std::int32_t blocks = blocks_for(end, options_.block_size);
  const auto held = std::min(static_cast<std::int32_t>(planned.blocks.size()), blocks);
  planned.blocks.resize(static_cast<std::size_t>(held));
  planned.blocks.insert(planned.blocks.end(), sequence.blocks.begin() + held, sequence.blocks.begin() + blocks);
  planned.sample = end == sequence.size();
  plan_scores(step, sequence, planned, end);
  sequence.cached = end;
  if (!planned.sample) return;
  sequence.newest_sample = {.step = step.plan.step, .slot = static_cast<std::int32_t>(step.samples.size())};
  ++sequence.in_flight;
  step.samples.push_back({.sequence = &sequence, .arrival = sequence.arrival});
}

// Rows are computed in order of positions, and those before `scored` were asked for: what is new lies together.
void Scheduler::plan_scores(StepInFlight& step, Sequence& sequence, SequenceStep& planned, std::int32_t end) {
  const std::int32_t scored = std::min(end, sequence.scores_wanted);
  planned.first_scored = planned.scored = 0;
  if (scored <= sequence.scored) return;
  planned.first_scored = sequence.scored - planned.start;
  planned.scored = scored - sequence.scored;
  sequence.scored = scored;
  if (sequence.scores_only() && scored == sequence.scores_wanted)
    step.scored.push_back({.sequence = &sequence, .arrival = sequence.arrival});
}

// --- what came of it
// -------------------------------------------------------------------------------------------------

Status Scheduler::commit(const StepPlan& plan, std::span<const TokenId> sampled) {
  if (plan.sequences.empty()) return {};
  if (in_flight_.empty())
    return fail(ErrorCode::failed_precondition, fmt::format("commit of step {}: no step is in flight", plan.step));
  StepInFlight& step = in_flight_.front();
  if (step.plan.step != plan.step)
    return fail(ErrorCode::failed_precondition,
                fmt::format("commit of step {}: step {} comes first", plan.step, step.plan.step));
  if (sampled.size() != step.samples.size())
    return fail(ErrorCode::invalid_argument, fmt::format("commit of step {}: {} sampled tokens, expected {}", plan.step,
                                                         sampled.size(), step.samples.size()));
  events_.reserve(events_.size() + sampled.size());
  for (std::size_t slot = 0; slot < sampled.size(); ++slot) {
    Sequence& sequence = *step.samples[slot].sequence;
    if (sequence.arrival != step.samples[slot].arrival) continue;
    sequence.tokens.push_back(sampled[slot]);
    --sequence.in_flight;
    if (!sequence.running) ++waiting_tokens_;
    events_.push_back({.request = sequence.request, .token = sampled[slot]});
    if (const FinishReason reason = finish_reason(sequence); reason != FinishReason::none) end(sequence, reason);
  }
  for (const auto& [sequence, arrival] : step.scored)
    if (sequence->arrival == arrival) end(*sequence, FinishReason::length);
  spare_.push_back(std::move(step));
  in_flight_.pop_front();
  return {};
}

std::vector<SequenceEvent> Scheduler::take_events() { return std::exchange(events_, {}); }

std::optional<SequenceView> Scheduler::find(RequestId request) const {
  const auto found = by_request_.find(request);
  if (found == by_request_.end()) return std::nullopt;
  const Sequence& sequence = *found->second;
  const std::span<const TokenId> tokens = sequence.tokens;
  const auto prompt_size = static_cast<std::size_t>(sequence.prompt_size);
  return SequenceView{.prompt = tokens.first(prompt_size),
                      .generated = tokens.subspan(prompt_size),
                      .sampling = sequence.sampling,
                      .stop = sequence.stop,
                      .logprobs = sequence.logprobs,
                      .choice = sequence.choice};
}

SchedulerStats Scheduler::stats() const {
  std::int64_t pending = waiting_tokens_;
  for (const Sequence* sequence : running_)
    if (!sequence->decoding()) pending += sequence->to_compute() - sequence->cached;
  return {.waiting = static_cast<std::int32_t>(waiting_.size()),
          .running = static_cast<std::int32_t>(running_.size()),
          .pending_prefill_tokens = pending,
          .free_blocks = pool_.free(),
          .kv_usage = static_cast<double>(pool_.used()) / static_cast<double>(pool_.capacity()),
          .preemptions = preemptions_};
}

bool Scheduler::idle() const noexcept { return by_request_.empty() && in_flight_.empty() && events_.empty(); }

}  // namespace weft::engine
