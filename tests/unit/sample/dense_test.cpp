#include "engine/sample/dense.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace weft::engine {
namespace {

TEST(ExpNotPositive, IsWithinTwoUlpOfTheTrueValueDownToTheDenormals) {
  for (double x = 0; x > -760; x -= 0.00137) {
    const double expected = std::exp(x);
    const double ulp = std::nextafter(expected, 2.0) - expected;
    ASSERT_LE(std::abs(exp_not_positive(x) - expected), 2 * ulp) << x;
  }
}

TEST(ExpNotPositive, IsExactAtItsEnds) {
  EXPECT_EQ(exp_not_positive(0.0), 1.0);
  EXPECT_EQ(exp_not_positive(-0.0), 1.0);
  EXPECT_EQ(exp_not_positive(-1e300), 0.0);
  EXPECT_EQ(exp_not_positive(-std::numeric_limits<double>::infinity()), 0.0);
}

TEST(ExpWeights, AreTheSameBitsInEveryVectorAndInNone) {
  std::mt19937 random(4);
  std::normal_distribution<float> normal(-60, 90);
  std::vector<float> values(1003);
  for (float& value : values)
    value = std::min(normal(random), 3.0f);
  values[5] = -std::numeric_limits<float>::infinity();
  const std::vector<double> wide(values.begin(), values.end());
  std::vector<double> from_floats(values.size());
  std::vector<double> from_doubles(values.size());
  exp_weights(values, 3.0, 1 / 0.7, from_floats);
  exp_weights(wide, 3.0, 1 / 0.7, from_doubles);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(from_floats[i], exp_not_positive((wide[i] - 3.0) * (1 / 0.7))) << values[i];
    ASSERT_EQ(from_floats[i], from_doubles[i]);
  }
}

TEST(LargestOf, FindsTheLargestAndAnyNanAtEveryPlace) {
  EXPECT_EQ(largest_of({}), -std::numeric_limits<float>::infinity());
  for (const std::size_t size : {1u, 2u, 15u, 16u, 17u, 100u}) {
    for (std::size_t at = 0; at < size; ++at) {
      std::vector<float> values(size, -3.0f);
      values[at] = 2.5f;
      EXPECT_EQ(largest_of(values), 2.5f);
      EXPECT_EQ(first_index_of(values, 2.5f), at);
      values[at] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_TRUE(std::isnan(largest_of(values))) << size << " " << at;
    }
  }
}

TEST(SumOfExp, AgreesWithAPlainLoop) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 4);
  std::vector<float> values(1003);
  for (float& value : values)
    value = normal(random);
  const auto largest = static_cast<double>(*std::max_element(values.begin(), values.end()));
  double sum = 0;
  for (const float value : values)
    sum += std::exp(static_cast<double>(value) - largest);
  EXPECT_NEAR(sum_of_exp(values, largest), sum, 1e-12 * sum);
}

TEST(ForEachAtLeast, VisitsInOrderUnderAFloorThatRises) {
  std::vector<float> values(300);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i % 7);
  double floor = 5;
  std::vector<std::size_t> visited;
  for_each_at_least(
      std::span<const float>(values), [&] { return floor; },
      [&](std::size_t i, float) {
        visited.push_back(i);
        if (visited.size() == 10) floor = 6;
      });
  std::vector<std::size_t> expected;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] >= (expected.size() < 10 ? 5.0f : 6.0f)) expected.push_back(i);
  EXPECT_EQ(visited, expected);
}

}  // namespace
}  // namespace weft::engine
