#include "text/tokenizer/rank_queue.h"

#include <gtest/gtest.h>

#include <queue>
#include <random>
#include <tuple>
#include <vector>

namespace weft::text {
namespace {

using Pair = std::pair<std::uint32_t, std::uint32_t>;

// Pushes and pops at random against a heap; `lower`: how often a push is of a rank below the one that was popped last.
void expect_least_first(RankQueue& queue, std::size_t ranks, double lower, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::priority_queue<Pair, std::vector<Pair>, std::greater<>> expected;
  queue.begin(ranks);
  std::uint32_t last = 0;
  const auto push = [&](std::uint32_t low) {
    const auto rank = low + static_cast<std::uint32_t>(random() % (ranks - low));
    const auto position = static_cast<std::uint32_t>(random() % 5000);
    queue.push({rank, position});
    expected.emplace(rank, position);
  };
  for (int i = 0; i < 3000; ++i)
    push(0);
  for (int i = 0; !expected.empty(); ++i) {
    const auto found = queue.pop();
    ASSERT_TRUE(found);
    ASSERT_EQ(Pair(found->rank, found->position), expected.top()) << "pop " << i;
    expected.pop();
    last = found->rank;
    for (auto k = i < 6000 ? random() % 3 : 0; k > 0; --k)
      push(std::uniform_real_distribution<>(0, 1)(random) < lower ? 0 : last);
  }
  EXPECT_FALSE(queue.pop());
  EXPECT_FALSE(queue.pop());
}

TEST(RankQueue, GivesTheLeastFirstWhateverComesBetween) {
  RankQueue queue;  // one for all: nothing of one piece is left for the next
  std::uint32_t seed = 1;
  for (const std::size_t ranks : {1u, 2u, 63u, 64u, 65u, 4097u, 300'000u})
    for (const double lower : {0.0, 0.1, 1.0}) {
      SCOPED_TRACE(std::to_string(ranks) + " ranks, lower " + std::to_string(lower));
      expect_least_first(queue, ranks, lower, seed++);
      if (HasFailure()) return;
    }
}

TEST(RankQueue, OfNoRanksIsEmpty) {
  RankQueue queue;
  queue.begin(0);
  EXPECT_FALSE(queue.pop());
  queue.begin(0);
  EXPECT_FALSE(queue.pop());
}

TEST(RankQueue, SaysWhatComesLater) {
  RankQueue queue;
  queue.begin(10);
  for (const std::uint32_t position : {9u, 4u, 7u})
    queue.push({3, position});
  EXPECT_FALSE(queue.ahead(0)) << "no rank is open";
  EXPECT_EQ(queue.pop()->position, 4u);
  EXPECT_EQ(queue.ahead(0), 7u);
  EXPECT_EQ(queue.ahead(1), 9u);
  EXPECT_FALSE(queue.ahead(2));
}

}  // namespace
}  // namespace weft::text
