#include "frontend/batch/batch_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/telemetry/log.h"
#include "frontend/batch/feeder.h"
#include "frontend/batch/in_flight.h"
#include "frontend/batch/inbox.h"
#include "frontend/batch/input_file.h"
#include "frontend/batch/progress.h"
#include "frontend/batch/results_file.h"

namespace weft::frontend {
namespace {

// How long the run reads and tokenises before it looks at its inbox again.
constexpr Duration read_slice = std::chrono::milliseconds(5);
// Where a router says that it has room and then has not, it is about to tell of a lost replica; should it not, we ask again.
constexpr Duration ask_again = std::chrono::seconds(1);
// A leader's link to the router may come a moment after the head's word that its replica is ready.
constexpr Duration attach_patience = std::chrono::seconds(1);
// For requests to end that were cancelled: a replica needs one step for it.
constexpr Duration cancel_patience = std::chrono::seconds(10);
constexpr Duration cancel_at_once_patience = std::chrono::seconds(1);

double seconds_since(Time then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

}  // namespace

struct BatchRun::State {
  BatchOptions options;
  BatchTools tools;
  InputFile input;
  std::unique_ptr<ResultsFile> results;
  std::optional<Feeder> feeder;
  BatchSummary summary;
  Inbox inbox;

  // One call of run().
  class Loop;
};

// The run's thread between two waits: take what came, submit what there is room for, read ahead.
class BatchRun::State::Loop {
 public:
  Loop(State& state, Router& router)
      : state_(state),
        router_(router),
        in_flight_(state.options, state.tools, *state.results, state.summary,
                   // one that has ended meanwhile is in the inbox
                   [this](RequestId id) { (void)router_.cancel(id); }),
        progress_(state.options.progress_bar, start_) {}

  Result<BatchSummary> run() {
    log::debug("batch", "distributing {} requests ({})", state_.input.requests - state_.summary.resumed,
               state_.options.distribution);
    Status worked = work();
    if (!worked) {
      cancel_all(cancel_at_once_patience);
      while (!in_flight_.empty() && !patience_.passed())
        (void)take_inbox(patience_);  // what ends now is not written: the first error is the run's
    }
    progress_.end(in_flight_.view(seconds_since(start_)));
    if (worked) worked = state_.results->sync();
    if (!worked) return fail(std::move(worked).error());
    log::debug("batch", "results: {} answered, {} failed", state_.summary.answered, state_.summary.failed);
    return summarise();
  }

 private:
  // Until every replica takes requests: the first one to attach would else be given all of a short input.
  Status wait_for_replicas() {
    const Deadline deadline = Deadline::in(attach_patience);
    const auto all_attached = [&] {
      const std::vector<ReplicaId>& replicas = state_.options.replicas;
      return std::all_of(replicas.begin(), replicas.end(), [&](ReplicaId id) { return router_.room(id) > 0; });
    };
    while (!all_attached() && !deadline.passed() && interrupts_ == 0 && !state_.summary.error)
      WEFT_TRY(take_inbox(deadline));
    return {};
  }

  Status work() {
    WEFT_TRY(wait_for_replicas());
    Deadline wait(start_);  // the first look at the inbox does not wait: an interrupt may be in it already
    while (!ended()) {
      WEFT_TRY(take_inbox(wait));
      stop_where_told();
      if (stopping_) {
        wait = patience_.earlier(Deadline(progress_.next()));
      } else {
        again_at_ = Time::max();
        WEFT_TRY(submit());
        WEFT_TRY(read_ahead());
        const bool busy =
            std::any_of(lanes().begin(), lanes().end(), [](const Lane& lane) { return lane.has_space(); });
        wait = busy ? Deadline(start_) : Deadline(std::min(again_at_, progress_.next()));
      }
      const Time now = Clock::now();
      if (now >= progress_.next()) progress_.show(in_flight_.view(seconds_since(start_)), now);
    }
    return {};
  }

  bool ended() const {
    if (!in_flight_.empty()) return cancelled_ && patience_.passed();
    return stopping_ || state_.feeder->is_empty();
  }

  std::vector<Lane>& lanes() { return state_.feeder->lanes(); }

  Status take_inbox(Deadline deadline) {
    Inbox::Contents contents = state_.inbox.take(deadline);
    if (contents.first_token && state_.summary.first_token_seconds == 0)
      state_.summary.first_token_seconds = std::chrono::duration<double>(*contents.first_token - start_).count();
    interrupts_ = contents.interrupts;
    if (contents.given_up && !state_.summary.error) state_.summary.error = contents.given_up;
    Status written;  // the first failure; what follows it has ended all the same
    for (auto& event : contents.events)
      if (const auto* tokens = std::get_if<TokensEvent>(&event)) {
        in_flight_.add_tokens(tokens->request, tokens->tokens);
      } else if (auto* logprobs = std::get_if<LogprobsEvent>(&event)) {
        in_flight_.add_logprobs(logprobs->request, std::move(logprobs->prompt), std::move(logprobs->generated));
      } else {
        const auto& finished = std::get<FinishedEvent>(event);
        if (Status done = in_flight_.finish(finished.request, finished.outcome); written) written = std::move(done);
      }
    return written;
  }

  // Running ones may end until `drain`; then, or at a second interrupt, they are cancelled.
  void stop_where_told() {
    if (!stopping_ && (interrupts_ > 0 || state_.summary.error)) {
      stopping_ = true;
      patience_ = Deadline::in(state_.options.drain);
      if (!in_flight_.empty() && interrupts_ == 1)
        log::info("batch",
                  "interrupted: {} requests may end until the drain's time is over; interrupt again to stop at once",
                  in_flight_.ids().size());
    }
    if (!stopping_) return;
    if (interrupts_ > 1 && !at_once_) {
      at_once_ = true;
      cancel_all(cancel_at_once_patience);
    } else if (!cancelled_ && patience_.passed()) {
      cancel_all(cancel_patience);
    }
  }

  void cancel_all(Duration patience) {
    stopping_ = cancelled_ = true;
    patience_ = Deadline::in(patience);
    for (const RequestId id : in_flight_.ids())
      (void)router_.cancel(id);  // one that has ended meanwhile is in the inbox
  }

  Status submit() {
    for (Lane& lane : lanes())
      for (std::int32_t room = router_.room(lane.replica()); room > 0; --room) {
        if (lane.waiting() == 0) WEFT_TRY(read(lane, static_cast<std::size_t>(room)));
        if (lane.waiting() == 0) break;
        WEFT_ASSIGN(submitted, submit_one(lane));
        if (!submitted) break;
      }
    return {};
  }

  // One choice of a request. False: no room after all.
  Result<bool> submit_one(Lane& lane) {
    Pending pending = lane.pop();
    if (in_flight_.gave_up(pending)) return true;
    pending.request.id = router_.next_id();
    const auto replica = router_.submit(pending.request, lane.replica());
    if (replica) {
      in_flight_.enter(pending, *replica);
      if (++pending.request.choice < pending.api.n) lane.push(std::move(pending));
      return true;
    }
    if (!replica.error().retryable) {
      state_.inbox.put_given_up(annotate(replica.error(), fmt::format("line {}", pending.line)));
    } else {
      again_at_ = Clock::now() + ask_again;
    }
    lane.push(std::move(pending));
    return false;
  }

  Status read_ahead() {
    const Time until = Clock::now() + read_slice;
    for (Lane& lane : lanes())
      if (lane.has_space() && Clock::now() < until) WEFT_TRY(read(lane, std::numeric_limits<std::size_t>::max()));
    return {};
  }

  // Lines that fail are answered at once.
  Status read(Lane& lane, std::size_t wanted) {
    std::vector<FailedLine> failed;
    WEFT_TRY(state_.feeder->read(lane, wanted, Clock::now() + read_slice, failed));
    for (const FailedLine& line : failed)
      WEFT_TRY(in_flight_.fail_line(line));
    return {};
  }

  BatchSummary summarise() {
    BatchSummary& all = state_.summary;
    all.seconds = seconds_since(start_);
    all.replicas = router_.totals().replicas;
    all.left = all.lines - all.resumed - all.answered - all.failed;
    all.interrupted = interrupts_ > 0 && all.left > 0;
    if (in_flight_.lines() > 0) all.failures["cancelled"] += in_flight_.lines();
    std::int64_t explained = -all.failed;
    for (const auto& [cause, count] : all.failures)
      explained += count;
    if (all.left > explained) all.failures["not_started"] += all.left - explained;
    return all;
  }

  State& state_;
  Router& router_;
  const Time start_ = Clock::now();
  InFlight in_flight_;
  Progress progress_;
  int interrupts_ = 0;
  bool stopping_ = false;   // nothing more is submitted
  bool cancelled_ = false;  // what runs has been cancelled
  bool at_once_ = false;
  Deadline patience_ = Deadline::never();  // once stopping
  Time again_at_ = Time::max();
};

BatchRun::BatchRun(std::unique_ptr<State> state) : state_(std::move(state)) {}
BatchRun::~BatchRun() = default;

Result<std::unique_ptr<BatchRun>> BatchRun::open(BatchOptions options, BatchTools tools) {
  if (options.distribution == "static" && options.replicas.empty())
    return fail(ErrorCode::invalid_argument, "static distribution needs the plan's replicas");
  auto state = std::make_unique<State>();
  state->options = std::move(options);
  state->tools = std::move(tools);
  WEFT_ASSIGN(input, InputFile::scan(state->options.input));
  state->input = std::move(input);
  WEFT_ASSIGN(results, ResultsFile::open(state->options.output,
                                         {.input_hash = state->input.hash, .model = state->options.model_identity},
                                         state->input));
  state->results = std::move(results);
  WEFT_ASSIGN(feeder, Feeder::open(state->options, state->tools, state->input, state->results->done()));
  state->feeder = std::move(feeder);
  state->summary.lines = state->input.requests;
  state->summary.resumed = state->results->done_count();
  state->summary.resumed_failed = state->results->failed_count();
  if (state->summary.resumed > 0)
    log::info("batch", "{}: {} of {} requests were done by an earlier run", state->options.output,
              state->summary.resumed, state->summary.lines);
  return std::unique_ptr<BatchRun>(new BatchRun(std::move(state)));
}

bool BatchRun::has_work() const noexcept { return state_->summary.resumed < state_->summary.lines; }

Result<BatchSummary> BatchRun::run(Router& router) { return State::Loop(*state_, router).run(); }

BatchSummary BatchRun::summary() const { return state_->summary; }

void BatchRun::interrupt() { state_->inbox.put_interrupt(); }
void BatchRun::give_up(const Error& why) { state_->inbox.put_given_up(why); }

void BatchRun::on_tokens(RequestId request, std::span<const TokenId> tokens) {
  state_->inbox.put_tokens(request, tokens);
}
void BatchRun::on_logprobs(RequestId request, std::span<const TokenLogprobs> prompt,
                           std::span<const TokenLogprobs> generated) {
  state_->inbox.put_logprobs(request, prompt, generated);
}
void BatchRun::on_finished(RequestId request, const Outcome& outcome) { state_->inbox.put_finished(request, outcome); }
void BatchRun::on_room() { state_->inbox.put_room(); }

}  // namespace weft::frontend
