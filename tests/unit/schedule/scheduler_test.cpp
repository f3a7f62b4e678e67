#include "engine/schedule/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "tests/unit/schedule/fake_replica.h"

namespace weft::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<TokenId> prompt_of(int size, int salt = 0) {
  std::vector<TokenId> prompt(static_cast<std::size_t>(size));
  std::iota(prompt.begin(), prompt.end(), salt);
  for (TokenId& id : prompt)
    id = id * 7 % fake_vocabulary;
  return prompt;
}

Request request_of(RequestId id, int prompt_size, int max_tokens) {
  Request request;
  request.id = id;
  request.prompt = prompt_of(prompt_size, static_cast<int>(id));
  request.stop.max_tokens = max_tokens;
  return request;
}

// A scheduler with its fake replica and all that came out, by request.
struct Bench {
  explicit Bench(SchedulerOptions options) : scheduler(Scheduler::create(options).value()), replica(options) {}

  Status add(const Request& request) {
    replica.expect(request);
    return scheduler.add(request, now_ms);
  }
  void take() {
    for (const SequenceEvent& event : scheduler.take_events()) {
      EXPECT_EQ(finish.count(event.request), 0u) << "an event after the end of request " << event.request;
      if (event.token) tokens[event.request].push_back(*event.token);
      if (event.finish != FinishReason::none) finish[event.request] = event.finish;
    }
  }
  StepPlan step() {
    const StepPlan plan = scheduler.plan(now_ms);
    const std::vector<TokenId> sampled = replica.run(plan);
    EXPECT_TRUE(scheduler.commit(plan, sampled).has_value());
    EXPECT_THAT(replica.problems(), ElementsAre());
    take();
    return plan;
  }
  int drain(int most_steps = 10000) {
    int steps = 0;
    for (; !scheduler.idle() && steps < most_steps; ++steps)
      step();
    EXPECT_TRUE(scheduler.idle());
    return steps;
  }

  Scheduler scheduler;
  FakeReplica replica;
  std::int64_t now_ms = 1000;
  std::map<RequestId, std::vector<TokenId>> tokens;
  std::map<RequestId, FinishReason> finish;
};

SchedulerOptions small() {
  return {.max_batch_tokens = 8, .max_requests = 4, .block_size = 4, .blocks = 32, .max_context = 64};
}

std::vector<std::int32_t> rows_of(const StepPlan& plan) {
  std::vector<std::int32_t> rows;
  for (const SequenceStep& sequence : plan.sequences)
    rows.push_back(sequence.rows());
  return rows;
}

std::string refusal(Scheduler& scheduler, Request request) {
  const Status status = scheduler.add(std::move(request), 0);
  return status ? "accepted" : to_string(status.error());
}

TEST(Scheduler, RefusesOptionsUnderWhichNothingCouldRun) {
  for (const auto member : {&SchedulerOptions::max_batch_tokens, &SchedulerOptions::max_requests,
                            &SchedulerOptions::block_size, &SchedulerOptions::blocks, &SchedulerOptions::max_context}) {
    SchedulerOptions options = small();
    options.*member = 0;
    const auto made = Scheduler::create(options);
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().message, HasSubstr("is 0, expected at least"));
  }
}

TEST(Scheduler, RefusesWhatCouldNeverBeAnswered) {
  SchedulerOptions options = small();
  options.vocabulary = fake_vocabulary;
  options.blocks = 8;
  Scheduler scheduler = Scheduler::create(options).value();
  EXPECT_THAT(refusal(scheduler, request_of(1, 0, 4)), HasSubstr("invalid_argument: prompt is empty"));
  EXPECT_THAT(refusal(scheduler, request_of(1, 64, 4)), HasSubstr("prompt of 64 tokens fills the context of 64"));
  EXPECT_THAT(refusal(scheduler, request_of(1, 4, 0)), HasSubstr("max_tokens is 0, expected at least 1"));
  EXPECT_THAT(refusal(scheduler, request_of(1, 30, 4)),
              HasSubstr("resource_exhausted: prompt of 30 tokens and up to 4 generated need 9 blocks of 4 "
                        "tokens, the KV cache has 8"));
  EXPECT_EQ(refusal(scheduler, request_of(1, 30, 3)), "accepted") << "the last token needs no place";
  EXPECT_THAT(refusal(scheduler, request_of(1, 4, 4)), HasSubstr("already_exists"));
  for (const TokenId bad : {-1, fake_vocabulary}) {
    Request request = request_of(2, 4, 4);
    request.prompt[2] = bad;
    EXPECT_THAT(refusal(scheduler, request), HasSubstr("expected 0 to 28"));
  }
  Request late = request_of(3, 4, 4);
  late.deadline_ms = -1;
  EXPECT_THAT(refusal(scheduler, late), HasSubstr("deadline is -1 ms"));
}

TEST(Scheduler, GeneratesWhatTheModelSaysAndEndsAtMaxTokens) {
  Bench bench(small());
  ASSERT_TRUE(bench.add(request_of(1, 5, 6)));
  EXPECT_EQ(bench.drain(), 6);
  EXPECT_EQ(bench.tokens[1], fake_generation(prompt_of(5, 1), 6));
  EXPECT_EQ(bench.finish[1], FinishReason::length);
  EXPECT_EQ(bench.scheduler.stats().free_blocks, 32);
}

TEST(Scheduler, ClipsGenerationToTheContext) {
  Bench bench(small());
  ASSERT_TRUE(bench.add(request_of(1, 60, 100)));
  bench.drain();
  EXPECT_EQ(bench.tokens[1].size(), 4u);
  EXPECT_EQ(bench.finish[1], FinishReason::length);
}

TEST(Scheduler, EndsAtAnEndIdUnlessToldToIgnoreIt) {
  const std::vector<TokenId> generated = fake_generation(prompt_of(5, 1), 8);
  SchedulerOptions options = small();
  options.end_ids = {generated[3]};
  const auto first = std::find(generated.begin(), generated.end(), generated[3]) - generated.begin();
  Bench bench(options);
  ASSERT_TRUE(bench.add(request_of(1, 5, 8)));
  bench.drain();
  EXPECT_EQ(bench.tokens[1], std::vector<TokenId>(generated.begin(), generated.begin() + first + 1));
  EXPECT_EQ(bench.finish[1], FinishReason::stop);

  Request ignoring = request_of(2, 5, 8);
  ignoring.prompt = prompt_of(5, 1);
  ignoring.stop.ignore_eos = true;
  ASSERT_TRUE(bench.add(ignoring));
  bench.drain();
  EXPECT_EQ(bench.tokens[2], generated);
  EXPECT_EQ(bench.finish[2], FinishReason::length);

  Request own = ignoring;
  own.id = 3;
  own.stop.stop_token_ids = {generated[0]};
  ASSERT_TRUE(bench.add(own));
  bench.drain();
  EXPECT_THAT(bench.tokens[3], ElementsAre(generated[0])) << "stop_token_ids count even where end ids do not";
  EXPECT_EQ(bench.finish[3], FinishReason::stop);
}

TEST(Scheduler, ContinuesWhatAnEarlierReplicaEmitted) {
  const std::vector<TokenId> generated = fake_generation(prompt_of(5, 1), 8);
  Bench bench(small());
  Request request = request_of(1, 5, 8);
  request.emitted = {generated.begin(), generated.begin() + 3};
  ASSERT_TRUE(bench.add(request));
  const SequenceView view = bench.scheduler.find(1).value();
  EXPECT_EQ(view.position(), 8);
  EXPECT_EQ(view.prompt.size(), 5u);
  EXPECT_EQ(view.generated.size(), 3u);
  bench.drain();
  EXPECT_EQ(bench.tokens[1], std::vector<TokenId>(generated.begin() + 3, generated.end()));
  EXPECT_EQ(bench.finish[1], FinishReason::length);
}

TEST(Scheduler, EndsAtOnceWhatWasFinishedByWhatAnEarlierReplicaEmitted) {
  SchedulerOptions options = small();
  options.end_ids = {3};
  Bench bench(options);
  Request full = request_of(1, 5, 2);
  full.emitted = {1, 2};
  Request stopped = request_of(2, 5, 9);
  stopped.emitted = {1, 3};
  ASSERT_TRUE(bench.add(full));
  ASSERT_TRUE(bench.add(stopped));
  bench.take();
  EXPECT_EQ(bench.finish[1], FinishReason::length);
  EXPECT_EQ(bench.finish[2], FinishReason::stop);
  EXPECT_TRUE(bench.tokens[1].empty());
  EXPECT_TRUE(bench.scheduler.idle());
}

TEST(Scheduler, DecodesFirstAndPrefillsInChunksUnderTheTokenBudget) {
  Bench bench(small());
  ASSERT_TRUE(bench.add(request_of(1, 3, 10)));
  ASSERT_TRUE(bench.add(request_of(2, 17, 10)));
  EXPECT_THAT(rows_of(bench.step()), ElementsAre(3, 5));
  EXPECT_EQ(bench.scheduler.stats().pending_prefill_tokens, 12);
  const StepPlan second = bench.step();
  EXPECT_THAT(rows_of(second), ElementsAre(1, 7));
  EXPECT_TRUE(second.sequences[0].sample);
  EXPECT_FALSE(second.sequences[1].sample) << "its prompt is not through";
  const StepPlan third = bench.step();
  EXPECT_THAT(rows_of(third), ElementsAre(1, 5));
  EXPECT_TRUE(third.sequences[1].sample);
  EXPECT_EQ(third.sequences[1].start, 12);
  EXPECT_THAT(rows_of(bench.step()), ElementsAre(1, 1));
  bench.drain();
}

TEST(Scheduler, RunsNoMoreThanMaxRequestsAtOnce) {
  Bench bench(small());
  for (RequestId id = 1; id <= 6; ++id)
    ASSERT_TRUE(bench.add(request_of(id, 1, 3)));
  bench.step();
  EXPECT_EQ(bench.scheduler.stats().running, 4);
  EXPECT_EQ(bench.scheduler.stats().waiting, 2);
  bench.drain();
  EXPECT_EQ(bench.finish.size(), 6u);
}

TEST(Scheduler, ServesTheLargerPriorityFirstThenTheEarlierArrival) {
  SchedulerOptions options = small();
  options.max_requests = 1;
  Bench bench(options);
  for (RequestId id = 1; id <= 3; ++id) {
    Request request = request_of(id, 2, 1);
    request.priority = id == 3 ? 5 : 0;
    ASSERT_TRUE(bench.add(request));
  }
  std::vector<RequestId> order;
  while (!bench.scheduler.idle())
    order.push_back(bench.step().sequences.at(0).request);
  EXPECT_THAT(order, ElementsAre(3, 1, 2));
}

// Two sequences that fit alone but not together: 6 blocks of 4, each grows to 5 blocks.
struct Crowded : Bench {
  Crowded() : Bench({.max_batch_tokens = 16, .max_requests = 4, .block_size = 4, .blocks = 6, .max_context = 64}) {
    EXPECT_TRUE(add(request_of(1, 4, 17)));
    EXPECT_TRUE(add(request_of(2, 4, 17)));
  }
  void until_preempted() {
    for (int i = 0; i < 100 && scheduler.stats().preemptions == 0; ++i)
      step();
    ASSERT_EQ(scheduler.stats().preemptions, 1);
    ASSERT_EQ(scheduler.stats().waiting, 1);
  }
};

TEST(Scheduler, PreemptsTheLatestWhenBlocksRunOutAndRecomputesTheSameTokens) {
  Crowded bench;
  bench.until_preempted();
  EXPECT_EQ(bench.scheduler.find(2)->generated.size(), bench.tokens[2].size());
  EXPECT_EQ(bench.scheduler.stats().pending_prefill_tokens, 4 + static_cast<std::int64_t>(bench.tokens[2].size()));
  bench.drain();
  EXPECT_EQ(bench.tokens[1], fake_generation(prompt_of(4, 1), 17));
  EXPECT_EQ(bench.tokens[2], fake_generation(prompt_of(4, 2), 17));
  EXPECT_EQ(bench.scheduler.stats().free_blocks, 6);
}

TEST(Scheduler, PreemptsTheLowestPriorityBeforeTheLatest) {
  Bench bench({.max_batch_tokens = 16, .max_requests = 4, .block_size = 4, .blocks = 6, .max_context = 64});
  Request low = request_of(1, 4, 17);
  low.priority = -1;
  ASSERT_TRUE(bench.add(low));
  ASSERT_TRUE(bench.add(request_of(2, 4, 17)));
  while (bench.scheduler.stats().preemptions == 0)
    bench.step();
  while (bench.finish.empty())
    bench.step();
  EXPECT_EQ(bench.finish.begin()->first, 2u);
  bench.drain();
}

TEST(Scheduler, CancelsWhatWaits) {
  SchedulerOptions options = small();
  options.max_requests = 1;
  Bench bench(options);
  ASSERT_TRUE(bench.add(request_of(1, 2, 3)));
  ASSERT_TRUE(bench.add(request_of(2, 2, 3)));
  bench.step();
  EXPECT_TRUE(bench.scheduler.cancel(2));
  bench.drain();
  EXPECT_EQ(bench.finish[2], FinishReason::cancelled);
  EXPECT_EQ(bench.finish[1], FinishReason::length);
}

TEST(Scheduler, CancelsInPrefillAndFreesItsBlocks) {
  Bench bench(small());
  ASSERT_TRUE(bench.add(request_of(1, 20, 3)));
  bench.step();
  EXPECT_EQ(bench.scheduler.stats().free_blocks, 27);
  EXPECT_TRUE(bench.scheduler.cancel(1));
  EXPECT_EQ(bench.scheduler.stats().free_blocks, 32);
  EXPECT_FALSE(bench.scheduler.idle()) << "its end is still to be taken";
  bench.take();
  EXPECT_EQ(bench.finish[1], FinishReason::cancelled);
  EXPECT_TRUE(bench.scheduler.idle());
  EXPECT_FALSE(bench.scheduler.cancel(1)) << "it ends once";
}

TEST(Scheduler, CancelsInDecodeBetweenPlanAndCommitAndDropsTheSample) {
  Bench bench(small());
  ASSERT_TRUE(bench.add(request_of(1, 3, 9)));
  ASSERT_TRUE(bench.add(request_of(2, 3, 9)));
  bench.step();
  const StepPlan plan = bench.scheduler.plan(bench.now_ms);
  const std::vector<TokenId> sampled = bench.replica.run(plan);
  EXPECT_TRUE(bench.scheduler.cancel(1));
  EXPECT_FALSE(bench.scheduler.find(1));
  ASSERT_TRUE(bench.scheduler.commit(plan, sampled));
  bench.take();
  EXPECT_EQ(bench.tokens[1].size(), 1u) << "only what was committed before";
  EXPECT_EQ(bench.tokens[2].size(), 2u);
  EXPECT_EQ(bench.finish[1], FinishReason::cancelled);
  bench.drain();
  EXPECT_EQ(bench.scheduler.stats().free_blocks, 32);
}

TEST(Scheduler, AnIdThatComesBackWhileItsOldStepIsInFlightGetsNoneOfItsTokens) {
  Bench bench(small());
  ASSERT_TRUE(bench.add(request_of(1, 3, 9)));
  const StepPlan plan = bench.scheduler.plan(bench.now_ms);
  const std::vector<TokenId> sampled = bench.replica.run(plan);
  bench.scheduler.cancel(1);
  ASSERT_TRUE(bench.scheduler.add(request_of(1, 3, 9), bench.now_ms));
  ASSERT_TRUE(bench.scheduler.commit(plan, sampled));
  const std::vector<SequenceEvent> events = bench.scheduler.take_events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].finish, FinishReason::cancelled);
  EXPECT_EQ(bench.scheduler.find(1)->generated.size(), 0u);
}

TEST(Scheduler, CancelsWhatIsPreempted) {
  Crowded bench;
  bench.until_preempted();
  const auto had = bench.tokens[2];
  EXPECT_TRUE(bench.scheduler.cancel(2));
  bench.drain();
  EXPECT_EQ(bench.finish[2], FinishReason::cancelled);
  EXPECT_EQ(bench.tokens[2], had);
  EXPECT_EQ(bench.tokens[1].size(), 17u);
  EXPECT_EQ(bench.scheduler.stats().free_blocks, 6);
}

TEST(Scheduler, ExpiresDeadlinesInEveryState) {
  Crowded bench;
  bench.until_preempted();
  Request waiting = request_of(3, 4, 4);
  waiting.deadline_ms = 50;
  ASSERT_TRUE(bench.add(waiting));
  bench.now_ms += 49;
  bench.step();
  EXPECT_EQ(bench.finish.count(3), 0u);
  bench.now_ms += 1;
  bench.step();
  EXPECT_EQ(bench.finish[3], FinishReason::deadline);
  bench.drain();

  Request decoding = request_of(5, 3, 12);
  decoding.deadline_ms = 10;
  ASSERT_TRUE(bench.add(decoding));
  bench.step();
  bench.step();
  bench.now_ms += 10;
  EXPECT_TRUE(bench.step().sequences.empty());
  EXPECT_EQ(bench.finish[5], FinishReason::deadline);
  EXPECT_EQ(bench.tokens[5].size(), 2u);
}

TEST(Scheduler, ADeadlineBeyondTheClockIsNone) {
  Bench bench(small());
  Request request = request_of(1, 3, 2);
  request.deadline_ms = std::numeric_limits<std::int64_t>::max();
  ASSERT_TRUE(bench.add(request));
  bench.drain();
  EXPECT_EQ(bench.finish[1], FinishReason::length);
}

TEST(Scheduler, LetsTheCallerEndASequenceForItsReason) {
  Bench bench(small());
  ASSERT_TRUE(bench.add(request_of(1, 3, 9)));
  bench.step();
  EXPECT_FALSE(bench.scheduler.finish(1, FinishReason::none));
  EXPECT_TRUE(bench.scheduler.finish(1, FinishReason::stop));
  EXPECT_FALSE(bench.scheduler.finish(1, FinishReason::stop));
  EXPECT_FALSE(bench.scheduler.finish(77, FinishReason::stop));
  bench.take();
  EXPECT_EQ(bench.finish[1], FinishReason::stop);
  EXPECT_EQ(bench.tokens[1].size(), 1u);
}

TEST(Scheduler, PlansAheadWithSampledInputsAndDiscardsWhatRanPastTheEnd) {
  const std::vector<TokenId> generated = fake_generation(prompt_of(3, 1), 9);
  SchedulerOptions options = small();
  options.end_ids = {generated[1]};
  ASSERT_NE(generated[0], generated[1]);
  Bench bench(options);
  ASSERT_TRUE(bench.add(request_of(1, 3, 9)));
  std::vector<StepPlan> plans;
  for (int i = 0; i < 4; ++i)
    plans.push_back(bench.scheduler.plan(bench.now_ms));
  EXPECT_FALSE(plans[0].sequences[0].tail);
  ASSERT_TRUE(plans[3].sequences[0].tail);
  EXPECT_EQ(plans[3].sequences[0].tail->step, plans[2].step);
  EXPECT_TRUE(plans[3].sequences[0].tokens.empty());
  for (const StepPlan& plan : plans)
    ASSERT_TRUE(bench.scheduler.commit(plan, bench.replica.run(plan)));
  EXPECT_THAT(bench.replica.problems(), ElementsAre());
  bench.take();
  EXPECT_EQ(bench.tokens[1], std::vector<TokenId>(generated.begin(), generated.begin() + 2));
  EXPECT_EQ(bench.finish[1], FinishReason::stop);
  EXPECT_TRUE(bench.scheduler.idle());
}

TEST(Scheduler, PlansNoFurtherThanMaxTokens) {
  Bench bench(small());
  ASSERT_TRUE(bench.add(request_of(1, 3, 2)));
  EXPECT_EQ(bench.scheduler.plan(0).sequences.size(), 1u);
  EXPECT_EQ(bench.scheduler.plan(0).sequences.size(), 1u);
  EXPECT_EQ(bench.scheduler.plan(0).sequences.size(), 0u);
}

TEST(Scheduler, RefusesCommitsOutOfOrderOrOfTheWrongSize) {
  Bench bench(small());
  ASSERT_TRUE(bench.add(request_of(1, 3, 5)));
  const StepPlan first = bench.scheduler.plan(0);
  const StepPlan second = bench.scheduler.plan(0);
  const std::vector<TokenId> one = {4};
  EXPECT_EQ(bench.scheduler.commit(second, one).error().message, "commit of step 1: step 0 comes first");
  EXPECT_EQ(bench.scheduler.commit(first, {}).error().message, "commit of step 0: 0 sampled tokens, expected 1");
  EXPECT_TRUE(bench.scheduler.commit(first, one));
  EXPECT_EQ(bench.scheduler.commit(first, one).error().code, ErrorCode::failed_precondition);
  EXPECT_TRUE(bench.scheduler.commit(second, one));
  EXPECT_EQ(bench.scheduler.commit(second, one).error().message, "commit of step 1: no step is in flight");
}

// Rows of a plan that are scored, as positions, for each of its sequences.
std::vector<std::vector<std::int32_t>> scores_of(const StepPlan& plan) {
  std::vector<std::vector<std::int32_t>> all;
  for (const SequenceStep& sequence : plan.sequences) {
    std::vector<std::int32_t>& positions = all.emplace_back();
    for (std::int32_t row = 0; row < sequence.scored; ++row)
      positions.push_back(sequence.start + sequence.first_scored + row);
  }
  return all;
}

TEST(Scheduler, ScoresAPromptInChunksButForItsLastToken) {
  Bench bench(small());
  Request request = request_of(1, 11, 2);
  request.logprobs.prompt = 3;
  ASSERT_TRUE(bench.add(request));
  EXPECT_THAT(scores_of(bench.step()), ElementsAre(ElementsAre(0, 1, 2, 3, 4, 5, 6, 7)));
  EXPECT_THAT(scores_of(bench.step()), ElementsAre(ElementsAre(8, 9))) << "what follows the prompt is no score";
  EXPECT_THAT(scores_of(bench.step()), ElementsAre(ElementsAre()));
  EXPECT_EQ(bench.finish[1], FinishReason::length);
}

TEST(Scheduler, EndsWithTheLastScoreWhereNothingIsGenerated) {
  SchedulerOptions options = small();
  options.blocks = 2;
  Bench bench(options);
  Request request = request_of(1, 9, 0);
  request.logprobs.prompt = 0;
  ASSERT_TRUE(bench.add(request)) << "its last token needs no place";
  const StepPlan plan = bench.step();
  EXPECT_THAT(rows_of(plan), ElementsAre(8));
  EXPECT_FALSE(plan.sequences[0].sample);
  EXPECT_EQ(bench.finish[1], FinishReason::length);
  EXPECT_TRUE(bench.tokens[1].empty());
  EXPECT_EQ(bench.scheduler.stats().free_blocks, 2);

  Request single = request_of(2, 1, 0);
  single.logprobs.prompt = 0;
  ASSERT_TRUE(bench.add(single));
  bench.take();
  EXPECT_EQ(bench.finish[2], FinishReason::length) << "there is nothing to score";
  EXPECT_TRUE(bench.scheduler.idle());
}

TEST(Scheduler, DoesNotScoreAgainWhatIsComputedAgain) {
  // Two prompts of 9 whose blocks run out while they decode: the second is computed again.
  Bench bench({.max_batch_tokens = 32, .max_requests = 4, .block_size = 4, .blocks = 7, .max_context = 64});
  for (RequestId id = 1; id <= 2; ++id) {
    Request request = request_of(id, 9, 12);
    request.logprobs.prompt = 0;
    ASSERT_TRUE(bench.add(request));
  }
  bench.drain();
  EXPECT_GT(bench.scheduler.stats().preemptions, 0);
  EXPECT_EQ(bench.replica.scored(1), 8);
  EXPECT_EQ(bench.replica.scored(2), 8);
  EXPECT_EQ(bench.tokens[2], fake_generation(prompt_of(9, 2), 12));
}

TEST(Scheduler, GoesOnWithTheScoresWhereAnEarlierReplicaEnded) {
  Bench bench(small());
  Request request = request_of(1, 7, 2);
  request.logprobs.prompt = 0;
  request.prompt_scored = 4;
  ASSERT_TRUE(bench.add(request));
  EXPECT_THAT(scores_of(bench.step()), ElementsAre(ElementsAre(4, 5)));
  bench.drain();
  Request impossible = request_of(2, 7, 2);
  impossible.prompt_scored = 7;
  EXPECT_THAT(refusal(bench.scheduler, impossible), HasSubstr("prompt_scored is 7, expected 0 to 6"));
}

TEST(Scheduler, PlansNothingWhereThereIsNothing) {
  Bench bench(small());
  EXPECT_TRUE(bench.scheduler.idle());
  const StepPlan plan = bench.step();
  EXPECT_TRUE(plan.sequences.empty());
  EXPECT_EQ(bench.step().step, plan.step + 1);
  EXPECT_TRUE(bench.scheduler.idle());
}

}  // namespace
}  // namespace weft::engine
