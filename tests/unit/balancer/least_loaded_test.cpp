#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "tests/unit/balancer/balancer_fixture.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using weft::testing::Balancer;

class LeastLoaded : public ::testing::Test {
 protected:
  LeastLoaded() { balancer_.join(2); }

  Event stats(ReplicaId replica, std::int32_t requests, std::int64_t prefill, std::uint64_t sequence) const {
    return {.kind = Event::Kind::stats,
            .replica = replica,
            .incarnation = 1,
            .waiting = 0,
            .running = requests,
            .pending_prefill_tokens = prefill,
            .stats_sequence = sequence};
  }
  Event progress(RequestId request, ReplicaId replica, std::int32_t generated, std::int64_t incarnation = 1) const {
    return {.kind = Event::Kind::progress,
            .replica = replica,
            .incarnation = incarnation,
            .request = request,
            .generated = generated};
  }
  // "least tokens pending: 10 (next 12)" -> the pending tokens of both replicas, read by a pick that is taken back.
  std::pair<std::string, ReplicaId> look() {
    const auto decision = balancer_.try_pick(999'999, 0, 1);
    balancer_.observe({.kind = Event::Kind::dropped, .replica = -1, .request = 999'999});
    return {decision->reason, decision->replica};
  }

  Balancer balancer_{"least_loaded"};
};

TEST_F(LeastLoaded, CountsTokensAndNotRequests) {
  EXPECT_EQ(balancer_.pick(1, 1000, 200), 0);
  for (RequestId id = 2; id <= 11; ++id)
    EXPECT_EQ(balancer_.pick(id, 60, 60), 1);
  EXPECT_EQ(look().first, "least tokens pending: 1,200 (next 1,200)");
}

TEST_F(LeastLoaded, GivesAReasonAPersonCanRead) {
  balancer_.pick(1, 800, 12);
  balancer_.pick(2, 1400, 40);
  EXPECT_EQ(look().first, "least tokens pending: 812 (next 1,440)");
  balancer_.table[1].eligible = false;
  EXPECT_EQ(look().first, "the only eligible replica");
}

TEST_F(LeastLoaded, WorksRequestsOffAsTheyProgress) {
  balancer_.pick(1, 100, 50);
  balancer_.pick(2, 100, 50);
  balancer_.observe({.kind = Event::Kind::first_token, .replica = 0, .incarnation = 1, .request = 1});
  EXPECT_EQ(look().first, "least tokens pending: 49 (next 150)");
  balancer_.observe(progress(1, 0, 20));
  EXPECT_EQ(look().first, "least tokens pending: 30 (next 150)");
  balancer_.observe(progress(1, 0, 10));     // reordered
  balancer_.observe(progress(1, 1, 40));     // not where it is
  balancer_.observe(progress(1, 0, 40, 7));  // of another incarnation
  balancer_.observe(progress(1, 0, -5));
  balancer_.observe(progress(77, 0, 5));  // unknown
  EXPECT_EQ(look().first, "least tokens pending: 30 (next 150)");
  balancer_.observe(progress(1, 0, 500));  // more than it may
  EXPECT_EQ(look().first, "least tokens pending: 0 (next 150)");
  balancer_.finish(1, 0);
  balancer_.finish(1, 0);
  balancer_.finish(2, 1);
  EXPECT_EQ(look().first, "least tokens pending: 0 (next 0)");
}

TEST_F(LeastLoaded, MovesTheChargeWithASecondPickOrADispatchElsewhere) {
  EXPECT_EQ(balancer_.pick(1, 100, 0), 0);
  balancer_.table[0].eligible = false;
  EXPECT_EQ(balancer_.pick(1, 100, 20), 1);
  balancer_.table[0].eligible = true;
  EXPECT_EQ(look(), std::make_pair(std::string("least tokens pending: 0 (next 120)"), ReplicaId{0}));
  balancer_.observe({.kind = Event::Kind::dispatched,
                     .replica = 0,
                     .incarnation = 1,
                     .request = 1,
                     .prompt_tokens = 90,
                     .max_tokens = 20});
  EXPECT_EQ(look(), std::make_pair(std::string("least tokens pending: 0 (next 110)"), ReplicaId{1}));
}

TEST_F(LeastLoaded, ConfirmsADispatchOnceAndNeverRevivesARequest) {
  balancer_.pick(1, 100, 50);
  const Event dispatched{.kind = Event::Kind::dispatched,
                         .replica = 0,
                         .incarnation = 1,
                         .request = 1,
                         .prompt_tokens = 100,
                         .max_tokens = 50};
  balancer_.observe(dispatched);
  balancer_.observe(progress(1, 0, 10));
  balancer_.observe(dispatched);  // repeated
  EXPECT_EQ(look().first, "least tokens pending: 0 (next 40)");
  balancer_.finish(1, 0);
  balancer_.observe(dispatched);  // after its end
  EXPECT_EQ(look().first, "least tokens pending: 0 (next 0)");
}

TEST_F(LeastLoaded, ForgetsWhatAReplicaHadWhenItLeavesAndStartsItAtZeroWhenItJoins) {
  balancer_.pick(1, 100, 50);
  balancer_.pick(2, 30, 0);
  balancer_.observe({.kind = Event::Kind::left, .replica = 0, .incarnation = 1});
  balancer_.observe({.kind = Event::Kind::dispatched, .replica = 0, .incarnation = 1, .request = 1});  // stale
  balancer_.observe({.kind = Event::Kind::joined, .replica = 0, .incarnation = 2});
  balancer_.table[0].incarnation = 2;
  EXPECT_EQ(look().first, "least tokens pending: 0 (next 31)");
  balancer_.pick(3, 10, 10);
  balancer_.observe({.kind = Event::Kind::left, .replica = 0, .incarnation = 1});    // of the earlier life
  balancer_.observe({.kind = Event::Kind::joined, .replica = 0, .incarnation = 2});  // repeated
  balancer_.finish(3, 0, 1);                                                         // of the earlier life
  EXPECT_EQ(look().first, "least tokens pending: 20 (next 31)");
}

TEST_F(LeastLoaded, CountsANewIncarnationAsEmptyEvenBeforeItsEvents) {
  balancer_.pick(1, 1000, 50);
  balancer_.pick(2, 30, 0);
  balancer_.table[0].incarnation = 5;
  EXPECT_EQ(balancer_.pick(3, 10, 10), 0);
  EXPECT_EQ(look().first, "least tokens pending: 20 (next 31)");
}

TEST_F(LeastLoaded, LearnsFromStatsHowMuchOfThePromptsIsComputed) {
  balancer_.pick(1, 1000, 10);
  balancer_.pick(2, 500, 10);
  balancer_.observe(stats(0, 1, 300, 1));
  EXPECT_EQ(look().first, "least tokens pending: 310 (next 510)");
  balancer_.observe({.kind = Event::Kind::first_token, .replica = 0, .incarnation = 1, .request = 1});
  EXPECT_EQ(look().first, "least tokens pending: 9 (next 510)");
}

TEST_F(LeastLoaded, DoesNotMistakeRequestsOnTheirWayForComputedOnes) {
  balancer_.pick(1, 1000, 10);
  balancer_.observe(stats(0, 0, 0, 1));  // sent before the request arrived there
  EXPECT_EQ(look(), std::make_pair(std::string("least tokens pending: 0 (next 1,010)"), ReplicaId{1}));
}

TEST_F(LeastLoaded, CountsOtherRoutersRequestsUntilTheFiguresAreTooOld) {
  balancer_.observe(stats(0, 3, 4000, 1));
  EXPECT_EQ(look(), std::make_pair(std::string("least tokens pending: 0 (next 4,003)"), ReplicaId{1}));
  balancer_.now += std::chrono::seconds(6);
  EXPECT_EQ(look().first, "least tokens pending: 0 (next 0)");
}

TEST_F(LeastLoaded, IgnoresStatsThatAreJunkStaleReorderedOrRepeated) {
  balancer_.pick(1, 1000, 10);
  balancer_.observe(stats(0, 1, 600, 5));
  const std::string expected = look().first;
  EXPECT_EQ(expected, "least tokens pending: 0 (next 610)");
  std::vector<Event> junk(9, stats(0, 1, 10, 6));
  junk[0].stats_sequence = 5;
  junk[1].stats_sequence = 4;
  junk[2].kv_usage = std::nan("");
  junk[3].kv_usage = -0.5;
  junk[4].waiting = -1;
  junk[5].pending_prefill_tokens = -1;
  junk[6].pending_prefill_tokens = std::int64_t{1} << 62;
  junk[7].incarnation = 0;
  junk[8].incarnation = 99;
  for (const Event& event : junk)
    balancer_.observe(event);
  EXPECT_EQ(look().first, expected);
  balancer_.observe(stats(0, 1, 10, 6));
  EXPECT_EQ(look().first, "least tokens pending: 0 (next 20)");
}

// Graham 1966, "Bounds for certain multiprocessing anomalies": list scheduling ends within 2 - 1/m of the best.
TEST(LeastLoadedMakespan, StaysWithinGrahamsBoundUnderSkew) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    std::lognormal_distribution<double> sizes(4, 1.5);
    const ReplicaId replicas = 2 + static_cast<ReplicaId>(seed % 7);
    Balancer balancer("least_loaded");
    balancer.join(replicas);
    std::vector<std::int64_t> work(static_cast<std::size_t>(replicas));
    std::int64_t largest = 0;
    for (RequestId id = 1; id <= 400; ++id) {
      const auto prompt = static_cast<std::int32_t>(std::min(sizes(random), 1e6)) + 1;
      const auto output = static_cast<std::int32_t>(std::min(sizes(random), 1e6)) + 1;
      work[static_cast<std::size_t>(balancer.pick(id, prompt, output))] += prompt + output;
      largest = std::max<std::int64_t>(largest, prompt + output);
    }
    const double total = static_cast<double>(std::accumulate(work.begin(), work.end(), std::int64_t{0}));
    const double best = std::max(total / replicas, static_cast<double>(largest));
    const double makespan = static_cast<double>(*std::max_element(work.begin(), work.end()));
    EXPECT_LE(makespan, (2.0 - 1.0 / replicas) * best) << "seed " << seed;
    EXPECT_LE(makespan, total / replicas + static_cast<double>(largest)) << "seed " << seed;
  }
}

TEST(LeastLoadedMakespan, KeepsASlowReplicaFromDelayingTheOthers) {
  // One replica of four works at a quarter of the speed. Requests come as fast as the cluster can work; with feedback each
  // gets its share, and the backlog in tokens stays even.
  Balancer balancer("least_loaded");
  balancer.join(4);
  const double speed[] = {1, 1, 1, 0.25};
  struct Running {
    RequestId id;
    double left;
  };
  std::vector<std::vector<Running>> queues(4);
  std::vector<int> done(4);
  RequestId next = 1;
  for (int tick = 0; tick < 20'000; ++tick) {
    if (tick % 31 == 0) {
      const auto replica = static_cast<std::size_t>(balancer.pick(next, 80, 20));
      queues[replica].push_back({next++, 100});
    }
    for (std::size_t r = 0; r < 4; ++r) {
      if (queues[r].empty()) continue;
      queues[r].front().left -= speed[r];
      if (queues[r].front().left > 0) continue;
      balancer.finish(queues[r].front().id, static_cast<ReplicaId>(r));
      queues[r].erase(queues[r].begin());
      ++done[r];
    }
  }
  for (const auto& queue : queues)
    EXPECT_LE(queue.size(), 12u);
  EXPECT_GT(done[0], 2 * done[3]);
}

}  // namespace
}  // namespace weft
