// Requests in, StepPlans out, sampled tokens in, events out. Pure: no clock, thread, device or I/O; the same calls give
// the same plans. One thread at a time. A leader's loop:
//
//   WEFT_TRY(scheduler.add(request, now));            // whenever one arrives
//   const StepPlan& plan = scheduler.plan(now);       // broadcast it, run it
//   for (each of its sequences with `sample`)         // from the logits of its last row and scheduler.find(request)
//     sampled.push_back(sampler.sample(...));
//   WEFT_TRY(scheduler.commit(plan, sampled));
//   send(scheduler.take_events());
//
// Several plans may be in flight, if they are run and committed in order: what is not known yet enters a plan as
// SampledRef, and what ran past a sequence's end is discarded at its commit.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "engine/cache/block_pool.h"
#include "engine/schedule/sequence.h"
#include "engine/schedule/step_plan.h"
#include "weft/request.h"
#include "weft/status.h"

namespace weft::engine {

struct SchedulerOptions {
  std::int32_t max_batch_tokens = 2048;  // rows of a step
  std::int32_t max_requests = 256;       // running at once; never more than max_batch_tokens
  std::int32_t block_size = 16;          // tokens
  std::int32_t blocks = 0;               // of the replica's KV cache, the same on each rank
  std::int32_t max_context = 0;          // tokens of a sequence, prompt and generated
  std::int32_t vocabulary = 0;           // ids of a prompt are below it; 0: any
  std::vector<TokenId> end_ids = {};     // the model's; a request's ignore_eos disarms them
};

// What happened to a request: a new token, its end, or both. Events of one request come in order, the one with a finish
// reason last and exactly once. No vector in here: to allocate 256 of them costs nearly as much as the rest of a step.
struct SequenceEvent {
  RequestId request = 0;
  std::optional<TokenId> token = {};         // an end id counts
  FinishReason finish = FinishReason::none;  // none: it goes on
};

// What a sampler needs to know of a sequence. Valid until the next call that changes the scheduler.
struct SequenceView {
  std::span<const TokenId> prompt;
  std::span<const TokenId> generated;  // those of an earlier replica included
  const SamplingParams& sampling;
  const StopConditions& stop;
  const LogprobsWanted& logprobs;
  std::int32_t choice = 0;

  // The index in prompt + generated of the token that comes next: the sampling counter.
  std::int64_t position() const noexcept { return static_cast<std::int64_t>(prompt.size() + generated.size()); }
};

struct SchedulerStats {
  std::int32_t waiting = 0;
  std::int32_t running = 0;
  std::int64_t pending_prefill_tokens = 0;  // known tokens still to be computed, preempted sequences' too; decodes not
  std::int32_t free_blocks = 0;
  double kv_usage = 0;           // share of the blocks in use, 0 to 1
  std::int64_t preemptions = 0;  // since the start
};

class Scheduler {
 public:
  // invalid_argument for options under which nothing could ever run.
  static Result<Scheduler> create(SchedulerOptions options);

  // Takes a request in; its deadline counts from now_ms. Refuses what could never be answered: an empty prompt, one that
  // fills the context, a negative or unknown token id, max_tokens < 1 (< 0 where the prompt is scored), more blocks than
  // there are, an id that is here.
  // Generation is clipped to the context. What its `emitted` finishes already ends at once. Sampling parameters are not
  // looked at: engine/sample/validate.h does that.
  Status add(Request request, std::int64_t now_ms);

  // The client wants it no longer: it ends as cancelled, in whatever state. False for an unknown or ended one.
  bool cancel(RequestId request) { return finish(request, FinishReason::cancelled); }

  // Ends a sequence for the caller's reason (a stop string was found, its logits are broken). As cancel().
  bool finish(RequestId request, FinishReason reason);

  // The next step: expires deadlines, then a row for each decoding sequence, then prefill in chunks while there are rows
  // left. A row of a prompt whose log-probabilities are wanted is marked `scored` once, in the first plan that computes it,
  // in order of positions. Empty where nothing can run now; an empty plan need not be committed. The plan is valid until its commit, an
  // empty one until the next call; then its memory is used again.
  const StepPlan& plan(std::int64_t now_ms);

  // The tokens sampled in a step, one for each of the plan's sequences with `sample`, in its order; those of sequences
  // that have ended since are ignored. failed_precondition out of order, invalid_argument for another number of tokens.
  Status commit(const StepPlan& plan, std::span<const TokenId> sampled);

  // All that happened since the last call: tokens, ends, cancellations, expiries.
  std::vector<SequenceEvent> take_events();

  // A waiting or running sequence; nothing for an unknown or ended one, whose sample no one will look at.
  std::optional<SequenceView> find(RequestId request) const;

  SchedulerStats stats() const;

  // No request, no step in flight and no event to take.
  bool idle() const noexcept;

 private:
  struct Member {  // of a step in flight
    Sequence* sequence;
    std::uint64_t arrival;  // differs from the sequence's where it has ended and its place has a new owner
  };
  struct StepInFlight {
    StepPlan plan;
    std::size_t planned = 0;  // of plan.sequences; what lies behind them while planning is memory of an older plan
    // Of each of plan.sequences: the admission whose block table it holds, so that memory of an older plan of the same one only
    // grows by the blocks that have come since.
    std::vector<std::uint64_t> tables;
    std::vector<Member> samples;  // who gets one
    std::vector<Member> scored;   // whose prompt is scored to its end, which is all they want
  };

  explicit Scheduler(SchedulerOptions options);

  Status check(const Request& request) const;
  std::int32_t final_size(const Request& request) const noexcept;
  FinishReason finish_reason(const Sequence& sequence) const noexcept;
  Sequence& enter(Request request, std::int64_t now_ms);
  void end(Sequence& sequence, FinishReason reason);
  void leave_waiting(Sequence& sequence);
  void leave_running(Sequence& sequence);

  void expire(std::int64_t now_ms);
  void plan_decodes(StepInFlight& step, std::int32_t& rows_left);
  void plan_prefills(StepInFlight& step, std::int32_t& rows_left);
  void plan_newcomers(StepInFlight& step, std::int32_t& rows_left);
  bool make_room(std::size_t running_index);
  void preempt(Sequence& sequence);
  void plan_rows(StepInFlight& step, Sequence& sequence, std::int32_t rows);
  void plan_scores(StepInFlight& step, Sequence& sequence, SequenceStep& planned, std::int32_t end);

  SchedulerOptions options_;
  BlockPool pool_;
  std::deque<Sequence> sequences_;  // addresses stay; grows to the most requests ever here at once
  std::vector<Sequence*> vacant_;
  std::unordered_map<RequestId, Sequence*> by_request_;
  std::set<Sequence*, ServedBefore> waiting_;
  std::vector<Sequence*> running_;                                          // in order of ServedBefore
  std::set<std::tuple<std::int64_t, std::uint64_t, Sequence*>> deadlines_;  // (deadline, arrival, who)
  std::deque<StepInFlight> in_flight_;
  std::vector<StepInFlight> spare_;  // memory for the next plans
  std::vector<SequenceEvent> events_;
  std::uint64_t arrivals_ = 0;
  std::uint64_t admissions_ = 0;
  std::int64_t steps_ = 0;
  std::int64_t waiting_tokens_ = 0;  // known tokens of all that wait
  std::int64_t preemptions_ = 0;
};

}  // namespace weft::engine
