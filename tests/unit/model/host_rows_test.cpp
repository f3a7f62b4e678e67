#include "engine/model/host_rows.h"

#include <gtest/gtest.h>

#include "kernels/reference/reference_device.h"

namespace weft::engine {
namespace {

class HostRowsOf : public ::testing::TestWithParam<DType> {};

TEST_P(HostRowsOf, AreWhatWasWrittenRoundedToTheType) {
  const DType type = GetParam();
  const auto device = make_reference_device().value();
  const Buffer memory = device->allocate(64).value();
  const TensorView view{.buffer = memory, .type = type, .rows = 2, .columns = 3};
  HostRows rows;
  rows.reset(2, 3);
  const float values[] = {1.0f, -0.1f, 3e-5f, 250.3f, 0.0f, -7.0f};
  std::copy_n(values, 3, rows.row(0).begin());
  std::copy_n(values + 3, 3, rows.row(1).begin());
  ASSERT_TRUE(rows.write(*device, view));
  HostRows back;
  ASSERT_TRUE(back.read(*device, view));
  for (std::int64_t i = 0; i < 6; ++i) {
    const float value = values[i];
    const float expected = type == DType::f32    ? value
                           : type == DType::bf16 ? to_f32(to_bf16(value))
                                                 : to_f32(to_f16(value));
    EXPECT_EQ(back.row(i / 3)[static_cast<std::size_t>(i % 3)], expected) << i;
  }
  device->release(memory);
}

INSTANTIATE_TEST_SUITE_P(All, HostRowsOf, ::testing::Values(DType::f32, DType::bf16, DType::f16),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST(HostRows, AreRefusedWhereTheMatrixIsAnother) {
  const auto device = make_reference_device().value();
  const Buffer memory = device->allocate(64).value();
  HostRows rows;
  EXPECT_FALSE(rows.read(*device, {.buffer = memory, .rows = 2, .columns = 3, .row_stride = 4}));
  EXPECT_FALSE(rows.read(*device, {.buffer = memory, .type = DType::i32, .rows = 2, .columns = 3}));
  EXPECT_FALSE(rows.read(*device, {.buffer = memory, .rows = 5, .columns = 4})) << "more than the memory holds";
  rows.reset(2, 3);
  EXPECT_FALSE(rows.write(*device, {.buffer = memory, .rows = 3, .columns = 3}));
  device->release(memory);
}

}  // namespace
}  // namespace weft::engine
