// Runs that end before their end: interrupted once or twice, or a replica lost.
#include "frontend/batch/batch_run.h"

#include "tests/unit/batch/batch_fixture.h"

namespace weft::frontend {
namespace {

using test::FakeRouter;
using test::FakeRouterOptions;
using test::prompt_lines;
using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Pair;

constexpr Duration patience = std::chrono::seconds(30);  // far more than any of it takes

class BatchStop : public test::BatchTest {
 protected:
  void open(int lines, FakeRouterOptions router, Duration drain = patience) {
    write_input(prompt_lines(lines));
    auto with_drain = options();
    with_drain.drain = drain;
    batch_ = BatchRun::open(with_drain, {}).value();
    router_ = std::make_unique<FakeRouter>(*batch_, std::move(router));
  }
  BatchSummary run() {
    auto summary = batch_->run(*router_);
    EXPECT_TRUE(summary) << summary.error().message;
    EXPECT_EQ(router_->under_way(), 0U);
    return summary ? *summary : BatchSummary{};
  }
  // A later run finds what is left and does it.
  void finish(std::int64_t done) {
    router_.reset();
    batch_.reset();
    const auto rest = BatchTest::run(options());
    ASSERT_TRUE(rest) << rest.error().message;
    EXPECT_EQ(rest->resumed, done);
    EXPECT_EQ(rest->left, 0);
    EXPECT_EQ(static_cast<std::int64_t>(results().size()), rest->lines);
  }

  std::unique_ptr<BatchRun> batch_;
  std::unique_ptr<FakeRouter> router_;
};

TEST_F(BatchStop, AFirstInterruptLetsRunningRequestsEndAndSubmitsNoMore) {
  open(100, {.after = [&](std::int64_t ended) {
         if (ended == 10) batch_->interrupt();
       }});
  const BatchSummary summary = run();
  EXPECT_TRUE(summary.interrupted);
  EXPECT_FALSE(summary.error);
  EXPECT_GE(summary.answered, 10);
  EXPECT_LT(summary.answered, 100);
  EXPECT_EQ(summary.answered + summary.left, 100);
  EXPECT_EQ(static_cast<std::int64_t>(router_->submissions().size()), summary.answered);
  EXPECT_THAT(summary.failures, Contains(Pair("not_started", summary.left)));
  finish(summary.answered);
}

TEST_F(BatchStop, WhatHasNotEndedWhenTheDrainIsOverIsCancelled) {
  open(20, {.held = true}, std::chrono::milliseconds(1));
  std::thread interrupter([&] {
    EXPECT_TRUE(router_->wait_for_under_way(8, patience));
    batch_->interrupt();
  });
  const BatchSummary summary = run();
  interrupter.join();
  EXPECT_TRUE(summary.interrupted);
  EXPECT_EQ(summary.answered, 0);
  EXPECT_EQ(summary.left, 20);
  EXPECT_THAT(summary.failures, Contains(Pair("cancelled", 8)));
  EXPECT_THAT(summary.failures, Contains(Pair("not_started", 12)));
  finish(0);
}

TEST_F(BatchStop, ASecondInterruptCancelsAtOnce) {
  open(20, {.held = true});
  std::thread interrupter([&] {
    EXPECT_TRUE(router_->wait_for_under_way(8, patience));
    batch_->interrupt();
    batch_->interrupt();
  });
  const Time start = Clock::now();
  const BatchSummary summary = run();
  interrupter.join();
  EXPECT_LT(Clock::now() - start, patience / 2);
  EXPECT_TRUE(summary.interrupted);
  EXPECT_EQ(summary.left, 20);
}

TEST_F(BatchStop, AnInterruptBeforeTheRunIsHeard) {
  open(5, {});
  batch_->interrupt();
  const BatchSummary summary = run();
  EXPECT_TRUE(summary.interrupted);
  EXPECT_EQ(summary.left, 5);
  EXPECT_TRUE(router_->submissions().empty());
  finish(0);
}

TEST_F(BatchStop, AnInterruptAfterEverythingIsDoneIsNone) {
  open(5, {.after = [&](std::int64_t ended) {
         if (ended == 5) batch_->interrupt();
       }});
  const BatchSummary summary = run();
  EXPECT_FALSE(summary.interrupted);
  EXPECT_EQ(summary.answered, 5);
}

TEST_F(BatchStop, ALostReplicaEndsTheRunWithItsErrorAndItsRequestsAreLeft) {
  const Error why{ErrorCode::unavailable, "replica 1: rank 3 exited with signal 9"};
  open(100, {.after = [&](std::int64_t ended) {
         if (ended != 10) return;
         router_->set_down(1, 1, why);
         batch_->give_up(why);
       }});
  const BatchSummary summary = run();
  ASSERT_TRUE(summary.error);
  EXPECT_EQ(summary.error->message, why.message);
  EXPECT_FALSE(summary.interrupted);
  EXPECT_EQ(summary.answered + summary.left, 100);
  EXPECT_EQ(summary.failed, 0);
  finish(summary.answered);
}

TEST_F(BatchStop, AClusterGivenUpBeforeTheRunIsHeard) {
  open(5, {});
  batch_->give_up({ErrorCode::unavailable, "gone"});
  const BatchSummary summary = run();
  ASSERT_TRUE(summary.error);
  EXPECT_EQ(summary.left, 5);
}

}  // namespace
}  // namespace weft::frontend
