// The formats of progress: pure functions.
#include "frontend/batch/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::frontend {
namespace {

const ProgressView half{.total = 200,
                        .done = 100,
                        .resumed = 60,
                        .tokens = 1000,
                        .seconds = 4,
                        .replicas = {{0, {.in_flight = 3, .done = 21}}, {1, {.in_flight = 4, .done = 19}}}};

TEST(Progress, BarShowsDoneRateReplicasAndTimeLeft) {
  EXPECT_EQ(progress_bar(half, 120),
            "[############------------]  100/200  250 tok/s  running/done 0: 3/21  1: 4/19  ETA 0:10");
}

TEST(Progress, BarShrinksAndLeavesReplicasOutWhereTheTerminalIsNarrow) {
  EXPECT_EQ(progress_bar(half, 79), "[########--------]  100/200  250 tok/s  running/done 0: 3/21  1: 4/19  ETA 0:10");
  EXPECT_EQ(progress_bar(half, 70), "[########--------]  100/200  250 tok/s  running/done 0: 3/21  ETA 0:10");
  EXPECT_EQ(progress_bar(half, 40), "[####----]  100/200  250 tok/s  ETA 0:10");
  EXPECT_EQ(progress_bar(half, 20), "100/200");
  EXPECT_EQ(progress_bar(half, 3), "100");
}

TEST(Progress, BarOfNothingAndOfAllHaveTheirCells) {
  EXPECT_EQ(progress_bar({.total = 10}, 80), "[------------------------]  0/10  0 tok/s  ETA -");
  EXPECT_EQ(progress_bar({.total = 10, .done = 10, .seconds = 1}, 80),
            "[########################]  10/10  0 tok/s  ETA 0:00");
  EXPECT_EQ(progress_bar({}, 80), "[########################]  0/0  0 tok/s  ETA 0:00");
}

TEST(Progress, LineSaysTheSameInWords) {
  EXPECT_EQ(progress_line(half),
            "100 of 200 requests done, 250 tok/s, ETA 0:10; replica 0: 3 running 21 done, 1: 4 running 19 done");
}

TEST(Progress, TimeLeftCountsThisRunsRequestsOnly) {
  EXPECT_DOUBLE_EQ(*seconds_left(half), 10);
  EXPECT_FALSE(seconds_left({.total = 10, .done = 5, .resumed = 5, .seconds = 3}));
  EXPECT_EQ(progress_line({.total = 3'601, .done = 1, .seconds = 1}), "1 of 3601 requests done, 0 tok/s, ETA 1:00:00");
}

TEST(Progress, SaysWhenItNextHasSomethingToShow) {
  const Time start = Clock::now();
  EXPECT_EQ(Progress(true, start).next(), start);
  Progress lines(false, start);
  EXPECT_EQ(lines.next(), start + std::chrono::seconds(10));
}

}  // namespace
}  // namespace weft::frontend
