#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "weft/dtype.h"

namespace weft {
namespace {

TEST(DType, EveryF16SurvivesTheRoadToF32AndBack) {
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const f16 value{static_cast<std::uint16_t>(bits)};
    const float wide = to_f32(value);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(to_f32(to_f16(wide)))) << bits;
    } else {
      EXPECT_EQ(to_f16(wide).bits, value.bits) << bits;
    }
  }
}

#ifndef __clang__  // clang++ 14 has no _Float16 on x86
TEST(DType, F16RoundsToNearestEvenLikeTheCompiler) {
  std::uint32_t state = 1;
  for (int i = 0; i < 1'000'000; ++i) {
    state = state * 1664525u + 1013904223u;
    const float value = std::bit_cast<float>(state);
    if (std::isnan(value)) continue;
    const auto expected = static_cast<_Float16>(value);
    std::uint16_t expected_bits = 0;
    std::memcpy(&expected_bits, &expected, 2);
    ASSERT_EQ(to_f16(value).bits, expected_bits) << value;
  }
}
#endif

TEST(DType, Bf16RoundsToNearestEven) {
  EXPECT_EQ(to_bf16(1.0f).bits, 0x3f80);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f80);  // a tie goes to even
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808001u)).bits, 0x3f81);
  EXPECT_EQ(to_f32(to_bf16(std::numeric_limits<float>::infinity())), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(to_f32(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(DType, NamesAreRead) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8})
    EXPECT_EQ(dtype_from(to_string(type)), type);
  EXPECT_FALSE(dtype_from("fp32"));
}

}  // namespace
}  // namespace weft
