#include "tests/conformance/communicator/pairwise.h"

#include <gtest/gtest.h>

#include <set>
#include <tuple>

namespace weft::conformance {
namespace {

using Pair = std::tuple<std::size_t, std::size_t, std::size_t, std::size_t>;

std::set<Pair> pairs_of(const std::vector<Row>& rows) {
  std::set<Pair> pairs;
  for (const Row& row : rows)
    for (std::size_t first = 0; first < row.size(); ++first)
      for (std::size_t second = first + 1; second < row.size(); ++second)
        pairs.emplace(first, row[first], second, row[second]);
  return pairs;
}

TEST(Pairwise, EveryPairOfValuesStandsInARow) {
  const std::vector<std::vector<std::size_t>> shapes = {{7, 6, 3, 3, 2, 4, 2}, {2, 2}, {5, 5, 5, 5},
                                                        {1, 4, 1, 3},          {3, 1}, {2, 2, 2, 2, 2, 2, 2, 2, 2, 2}};
  for (const auto& levels : shapes) {
    const std::vector<Row> rows = pairwise(levels);
    for (const Row& row : rows) {
      ASSERT_EQ(row.size(), levels.size());
      for (std::size_t factor = 0; factor < row.size(); ++factor)
        ASSERT_LT(row[factor], levels[factor]);
    }
    EXPECT_EQ(pairs_of(rows), pairs_of(product(levels)));
  }
}

TEST(Pairwise, NeedsFewRows) {
  // No fewer than the product of the two largest; a greedy choice needs a little more.
  EXPECT_GE(pairwise({7, 6, 3, 3, 2, 4, 2}).size(), 42u);
  EXPECT_LE(pairwise({7, 6, 3, 3, 2, 4, 2}).size(), 50u);
  EXPECT_LE(pairwise({2, 2, 2, 2, 2, 2, 2, 2, 2, 2}).size(), 12u);
}

TEST(Pairwise, GivesTheSameRowsAlways) { EXPECT_EQ(pairwise({4, 3, 5}), pairwise({4, 3, 5})); }

TEST(Pairwise, ProductHasEveryRowOnce) {
  const std::vector<Row> rows = product({3, 2, 4});
  EXPECT_EQ(rows.size(), 24u);
  EXPECT_EQ(std::set<Row>(rows.begin(), rows.end()).size(), 24u);
  EXPECT_EQ(product({}).size(), 1u);
}

TEST(Pairwise, OneFactorHasEachValueOnce) { EXPECT_EQ(pairwise({3}), (std::vector<Row>{{0}, {1}, {2}})); }

}  // namespace
}  // namespace weft::conformance
