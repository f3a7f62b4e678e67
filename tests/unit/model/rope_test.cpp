#include "engine/model/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace weft::engine {
namespace {

TEST(Rope, TheTableHoldsCosinesThenSinesOfPositionTimesFrequency) {
  const RopeSpec spec{.theta = 10000, .dimensions = 6};
  const std::vector<float> table = rope_table(spec, 50);
  ASSERT_EQ(table.size(), 300u);
  for (int position = 0; position < 50; ++position)
    for (int i = 0; i < 3; ++i) {
      const double angle = position * std::pow(10000.0, -2.0 * i / 6);
      EXPECT_NEAR(table[static_cast<std::size_t>(position * 6 + i)], std::cos(angle), 1e-5);
      EXPECT_NEAR(table[static_cast<std::size_t>(position * 6 + 3 + i)], std::sin(angle), 1e-5);
    }
}

TEST(Rope, LinearScalingDividesEveryFrequency) {
  const RopeSpec plain{.theta = 500, .dimensions = 8};
  RopeSpec scaled = plain;
  scaled.scaling = RopeSpec::Scaling::linear;
  scaled.factor = 4;
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_FLOAT_EQ(rope_frequencies(scaled)[i], rope_frequencies(plain)[i] / 4);
}

// With L = 8192, low 1, high 4: wavelengths above 8192 are stretched by 8, below 2048 kept, between them blended by
// s = (8192 / wavelength - 1) / 3.
TEST(Rope, Llama3ScalingIsItsPublishedFormula) {
  const RopeSpec spec{.theta = 500000,
                      .dimensions = 128,
                      .scaling = RopeSpec::Scaling::llama3,
                      .factor = 8,
                      .low_frequency_factor = 1,
                      .high_frequency_factor = 4,
                      .original_context = 8192};
  const std::vector<float> frequencies = rope_frequencies(spec);
  ASSERT_EQ(frequencies.size(), 64u);
  int kept = 0, blended = 0, stretched = 0;
  for (int i = 0; i < 64; ++i) {
    const double plain = std::pow(500000.0, -2.0 * i / 128);
    const double wavelength = 2 * std::numbers::pi / plain;
    double expected = plain;
    if (wavelength > 8192) {
      expected = plain / 8;
      ++stretched;
    } else if (wavelength >= 2048) {
      const double s = (8192 / wavelength - 1) / 3;
      expected = (1 - s) * plain / 8 + s * plain;
      ++blended;
    } else {
      ++kept;
    }
    EXPECT_NEAR(frequencies[static_cast<std::size_t>(i)] / expected, 1, 1e-6) << i;
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(blended, 0);
  EXPECT_GT(stretched, 0);
}

}  // namespace
}  // namespace weft::engine
