// What every balancer owes, whatever its idea of load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "tests/unit/balancer/balancer_fixture.h"

namespace weft {
namespace {

using weft::testing::Balancer;

class EveryBalancer : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Shipped, EveryBalancer, ::testing::Values("round_robin", "least_loaded"),
                         [](const auto& test) { return test.param; });

TEST_P(EveryBalancer, NeverPicksAReplicaThatIsNotEligible) {
  Balancer balancer(GetParam());
  balancer.join(16);
  std::mt19937 random(1);
  for (RequestId id = 1; id <= 5000; ++id) {
    for (ReplicaView& replica : balancer.table)
      replica.eligible = random() % 3 != 0;
    const bool any =
        std::any_of(balancer.table.begin(), balancer.table.end(), [](const auto& r) { return r.eligible; });
    const ReplicaId picked = balancer.pick(id, static_cast<std::int32_t>(random() % 1000));
    if (any) {
      ASSERT_GE(picked, 0);
      ASSERT_TRUE(balancer.table[static_cast<std::size_t>(picked)].eligible);
    }
    if (random() % 2 == 0) balancer.finish(id, picked);
  }
}

TEST_P(EveryBalancer, SaysUnavailableWhereNoneIsEligible) {
  Balancer balancer(GetParam());
  EXPECT_EQ(balancer.try_pick(1).error().code, ErrorCode::unavailable);
  balancer.join(2);
  for (ReplicaView& replica : balancer.table)
    replica.eligible = false;
  const auto decision = balancer.try_pick(2);
  ASSERT_FALSE(decision);
  EXPECT_EQ(decision.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(decision.error().retryable);
  EXPECT_EQ(decision.error().message, "none of 2 replicas is eligible");
}

TEST_P(EveryBalancer, DoesNotPileUpInTenThousandPicksBeforeAnyFeedback) {
  Balancer balancer(GetParam());
  balancer.join(7);
  std::vector<int> picks(7);
  for (RequestId id = 1; id <= 10'000; ++id)
    ++picks[static_cast<std::size_t>(balancer.pick(id))];
  EXPECT_LE(*std::max_element(picks.begin(), picks.end()) - *std::min_element(picks.begin(), picks.end()), 1);
}

TEST_P(EveryBalancer, GivesTheSameDecisionsForTheSameCalls) {
  std::vector<ReplicaId> runs[2];
  for (auto& run : runs) {
    Balancer balancer(GetParam());
    balancer.join(5);
    std::mt19937 random(7);
    for (RequestId id = 1; id <= 3000; ++id) {
      run.push_back(
          balancer.pick(id, static_cast<std::int32_t>(random() % 500), static_cast<std::int32_t>(random() % 500)));
      balancer.now += std::chrono::milliseconds(random() % 50);
      const RequestId other = 1 + random() % id;
      balancer.finish(other, run[other - 1]);
      balancer.observe({.kind = Event::Kind::stats,
                        .replica = static_cast<ReplicaId>(random() % 5),
                        .incarnation = 1,
                        .waiting = static_cast<std::int32_t>(random() % 9),
                        .running = static_cast<std::int32_t>(random() % 9),
                        .pending_prefill_tokens = static_cast<std::int64_t>(random() % 900),
                        .stats_sequence = id});
    }
  }
  EXPECT_EQ(runs[0], runs[1]);
}

TEST_P(EveryBalancer, SurvivesJunk) {
  Balancer balancer(GetParam());
  balancer.join(3);
  std::mt19937_64 random(3);
  const auto wild = [&random]() -> std::int32_t {
    const std::int32_t values[] = {
        0, -1, 1, std::numeric_limits<std::int32_t>::max(), std::numeric_limits<std::int32_t>::min(), 77};
    return values[random() % 6];
  };
  const double shares[] = {std::nan(""), -1, 2, std::numeric_limits<double>::infinity(), 0.5};
  for (int i = 0; i < 20'000; ++i) {
    Event event{.kind = static_cast<Event::Kind>(random() % 9),  // one beyond the last
                .replica = wild() % 5,
                .incarnation = static_cast<std::int64_t>(random() % 4) - 1,
                .request = random() % 50,
                .prompt_tokens = wild(),
                .max_tokens = wild(),
                .generated = wild(),
                .waiting = wild(),
                .running = wild(),
                .pending_prefill_tokens = static_cast<std::int64_t>(random()),
                .kv_usage = shares[random() % 5],
                .stats_sequence = random() % 100};
    balancer.observe(event);
    const ReplicaId picked = balancer.pick(random() % 50, wild(), wild());
    ASSERT_GE(picked, 0);
    ASSERT_LT(picked, 3);
  }
}

}  // namespace
}  // namespace weft
