// Requests that end early (cancelled, late, or for a reason of the caller's), in every state, and what becomes of the steps
// that are in flight then.
#include <limits>

#include "engine/schedule/scheduler.h"
#include "tests/unit/schedule/scheduler_bench.h"

namespace weft::engine {
namespace {

using testing::ElementsAre;

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

}  // namespace
}  // namespace weft::engine
