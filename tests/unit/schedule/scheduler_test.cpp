// What the scheduler takes, in which order it runs it, and what is scored on the way. scheduler_end_test.cpp has how
// requests end before their time.
#include "engine/schedule/scheduler.h"

#include <algorithm>

#include "tests/unit/schedule/scheduler_bench.h"

namespace weft::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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
