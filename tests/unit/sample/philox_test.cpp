#include <gtest/gtest.h>

#include <vector>

#include "weft/sampling.h"

namespace weft {
namespace {

// The known answers of the authors' Random123 (kat_vectors, philox4x32 10).
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(UniformDraw, StaysInItsIntervalAndDependsOnSeedChoiceAndPosition) {
  double sum = 0;
  for (std::int64_t position = 0; position < 100000; ++position) {
    const double draw = uniform_draw(42, 0, position);
    ASSERT_GE(draw, 0.0);
    ASSERT_LT(draw, 1.0);
    sum += draw;
  }
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);
  EXPECT_EQ(uniform_draw(7, 1, 9), uniform_draw(7, 1, 9));
  EXPECT_NE(uniform_draw(7, 1, 9), uniform_draw(8, 1, 9));
  EXPECT_NE(uniform_draw(7, 1, 9), uniform_draw(7, 2, 9));
  EXPECT_NE(uniform_draw(7, 1, 9), uniform_draw(7, 1, 10));
  EXPECT_NE(uniform_draw(7, 1, 9), uniform_draw(std::uint64_t{7} << 32, 1, 9));
  EXPECT_NE(uniform_draw(7, 1, 9), uniform_draw(7, 1, std::int64_t{9} << 32));
}

TEST(IndexOfDraw, NeverPicksWhatHasNoWeight) {
  const std::vector<double> weights = {0, 1, 0, 3, 0};
  EXPECT_EQ(index_of_draw(weights, 0.0), 1u);
  EXPECT_EQ(index_of_draw(weights, 0.2499), 1u);
  EXPECT_EQ(index_of_draw(weights, 0.25), 3u);
  EXPECT_EQ(index_of_draw(weights, 0.9999999999999999), 3u);
  EXPECT_EQ(index_of_draw({}, 0.5), 0u);
}

}  // namespace
}  // namespace weft
