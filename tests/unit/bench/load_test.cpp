#include "frontend/bench/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "tests/unit/batch/fake_router.h"

namespace weft::frontend {
namespace {

using test::FakeAnswer;
using test::FakeRouter;
using ::testing::HasSubstr;

FakeAnswer whole_answer(const Request& request) {
  return {.tokens = std::vector<TokenId>(static_cast<std::size_t>(request.stop.max_tokens), 1),
          .outcome = {.reason = FinishReason::length}};
}

const std::vector<ReplicaId> both = {0, 1};

TEST(Load, EveryRequestIsTimedThoughFewHaveRoomAtOnce) {
  Load load;
  FakeRouter router(load, {.replicas = 2, .capacity = 2, .answer = whole_answer});
  const auto requests = random_requests(40, 5, 7, 100, 1);
  const auto report = load.run(router, requests, both);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->requests.size(), 40U);
  double last = 0;
  for (const RequestTimes& times : report->requests) {
    EXPECT_EQ(times.tokens, 7);
    EXPECT_GE(times.submitted, 0);
    EXPECT_GE(times.first_token, times.submitted);
    EXPECT_GE(times.last_token, times.first_token);
    last = std::max(last, times.last_token);
  }
  EXPECT_EQ(report->seconds, last);
  EXPECT_EQ(router.submissions().size(), 40U);
}

TEST(Load, AFollowingRunKnowsNothingOfTheOneBefore) {
  Load load;
  FakeRouter router(load, {.answer = whole_answer});
  for (int run = 0; run < 20; ++run) {
    const auto report = load.run(router, random_requests(3, 2, 4, 100, 1), both);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->requests.size(), 3U);
  }
}

TEST(Load, AnInterruptEndsItAndCancelsWhatRuns) {
  Load load;
  FakeRouter router(load, {.held = true});
  std::thread hand([&] {
    EXPECT_TRUE(router.wait_for_under_way(4, std::chrono::seconds(60)));
    load.interrupt();
  });
  const auto report = load.run(router, random_requests(4, 2, 4, 100, 1), both);
  hand.join();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::cancelled);
  EXPECT_EQ(router.under_way(), 0U);
  EXPECT_FALSE(load.run(router, random_requests(1, 2, 4, 100, 1), both)) << "nor does a later one start";
}

TEST(Load, ALostReplicaIsItsError) {
  Load load;
  FakeRouter router(load, {.held = true});
  std::thread hand([&] {
    EXPECT_TRUE(router.wait_for_under_way(1, std::chrono::seconds(60)));
    load.give_up({ErrorCode::unavailable, "rank 1 is gone"});
  });
  const auto report = load.run(router, random_requests(1, 2, 4, 100, 1), both);
  hand.join();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().message, "rank 1 is gone");
}

TEST(Load, AnAnswerTooShortOrFailedIsNoFigure) {
  Load load;
  FakeRouter router(load, {});  // three tokens at most
  const auto shorter = load.run(router, random_requests(1, 2, 4, 100, 1), both);
  ASSERT_FALSE(shorter);
  EXPECT_THAT(shorter.error().message, HasSubstr("request 1: ended after 3 tokens (length), expected 4"));
  router.refuse_next_submission({ErrorCode::invalid_argument, "too long"});
  const auto refused = load.run(router, random_requests(1, 2, 3, 100, 1), both);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "too long");
}

TEST(Load, PromptsAreTheSeedsAndNoTwoAreAlike) {
  const auto requests = random_requests(50, 8, 3, 1000, 7);
  std::set<std::vector<TokenId>> seen;
  for (const LoadRequest& request : requests) {
    EXPECT_EQ(request.prompt.size(), 8U);
    EXPECT_EQ(request.output_tokens, 3);
    for (const TokenId id : request.prompt)
      EXPECT_TRUE(id >= 0 && id < 1000) << id;
    EXPECT_TRUE(seen.insert(request.prompt).second);
  }
  EXPECT_EQ(random_requests(50, 8, 3, 1000, 7)[49].prompt, requests[49].prompt);
  EXPECT_NE(random_requests(50, 8, 3, 1000, 8)[49].prompt, requests[49].prompt);
}

}  // namespace
}  // namespace weft::frontend
