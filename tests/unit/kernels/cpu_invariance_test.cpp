// Capability "batch_invariant": a row's result is the same bits whatever the other rows are, and however many threads
// there are.
#include <gtest/gtest.h>

#include "kernels/cpu/cpu_device.h"
#include "tests/unit/kernels/attention_case.h"
#include "tests/unit/kernels/support.h"

namespace weft::testing {
namespace {

constexpr DType float_types[] = {DType::f32, DType::f16, DType::bf16};

class CpuInvariance : public ::testing::Test {
 protected:
  static std::unique_ptr<Device> make(int threads) {
    auto made = make_cpu_device({.threads = threads});
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  std::unique_ptr<Device> one_ = make(1);
  std::unique_ptr<Device> three_ = make(3);
};

std::vector<float> linear_rows(Device& device, DType stored, LinearArgs::Epilogue epilogue, std::int64_t columns,
                               std::int64_t outputs, std::int64_t first, std::int64_t count) {
  const bool gate = epilogue == LinearArgs::Epilogue::gate;
  const auto weight = make_weight(device, WeightUse::linear, stored, DType::f32, outputs, columns,
                                  random_values(outputs * columns, 5), random_values(outputs, 6));
  std::vector<float> values;
  for (std::int64_t row = first; row < first + count; ++row) {
    const auto one = random_values(columns, 100 + static_cast<std::uint64_t>(row));
    values.insert(values.end(), one.begin(), one.end());
  }
  const Matrix in(DType::f32, count, columns, values);
  Matrix out(DType::f32, count, gate ? outputs / 2 : outputs);
  EXPECT_TRUE(device.linear({.weight = weight.get(), .in = in.view(), .out = out.view(), .epilogue = epilogue}, {}));
  return out.values();
}

TEST_F(CpuInvariance, LinearRowsDoNotSeeEachOther) {
  for (const DType stored : float_types)
    for (const auto epilogue : {LinearArgs::Epilogue::store, LinearArgs::Epilogue::gate})
      for (const std::int64_t columns : {37, 256, 600}) {
        constexpr std::int64_t rows = 210, outputs = 150;
        const auto all = linear_rows(*one_, stored, epilogue, columns, outputs, 0, rows);
        EXPECT_EQ(all, linear_rows(*three_, stored, epilogue, columns, outputs, 0, rows));
        const std::int64_t width = static_cast<std::int64_t>(all.size()) / rows;
        for (const std::int64_t count : {1, 2, 3, 5, 7, 12, 13, 40})
          for (std::int64_t first = 0; first + count <= rows; first += 61) {
            const auto some =
                linear_rows(first % 2 == 0 ? *one_ : *three_, stored, epilogue, columns, outputs, first, count);
            const std::vector<float> wanted(all.begin() + first * width, all.begin() + (first + count) * width);
            ASSERT_EQ(some, wanted) << count << " rows from " << first << ", " << columns << " columns";
          }
      }
}

TEST_F(CpuInvariance, ATokensResultIsTheSameInPrefillChunksAndDecode) {
  std::uint64_t seed = 50;
  for (const std::int32_t head_dim : {8, 48, 64, 80})
    for (const std::int32_t window : {0, 9})
      for (const DType type : float_types) {
        const AttentionCase of{.query_heads = 6,
                               .kv_heads = 2,
                               .head_dim = head_dim,
                               .rotary_dim = head_dim,
                               .head_norms = true,
                               .block_size = head_dim == 80 ? 5 : 16,
                               .window = window,
                               .type = type,
                               .cache_type = type,
                               .lengths = {61, 1, 18, 33}};
        ++seed;
        const auto whole = run_attention(*one_, of, seed, [](auto, auto) { return 1000; });
        const auto threads = run_attention(*three_, of, seed, [](auto, auto) { return 1000; });
        const auto chunks = run_attention(*one_, of, seed, [](std::size_t s, auto) { return static_cast<int>(3 + s); });
        const auto decode = run_attention(*three_, of, seed, [](auto, auto) { return 1; });
        // One sequence after the other: no step has more than one.
        const auto alone = run_attention(*one_, of, seed, [turn = 0u, &of](std::size_t s, std::int32_t done) mutable {
          if (s == turn && done == of.lengths[s]) ++turn;
          return s == turn ? 7 : 0;
        });
        for (const auto* other : {&threads, &chunks, &decode, &alone}) {
          ASSERT_EQ(whole.qkv, other->qkv) << "head_dim " << head_dim;
          ASSERT_EQ(whole.out, other->out) << "head_dim " << head_dim;
        }
      }
}

TEST_F(CpuInvariance, NormedRowsDoNotSeeEachOther) {
  constexpr std::int64_t rows = 120, width = 301;
  const auto values = random_values(rows * width, 1);
  const auto run = [&](Device& device, std::int64_t first, std::int64_t count) {
    const auto weight =
        make_weight(device, WeightUse::vector, DType::f32, DType::f32, 1, width, random_values(width, 2));
    const Matrix in(DType::f32, count, width,
                    {values.begin() + first * width, values.begin() + (first + count) * width});
    Matrix out(DType::bf16, count, width);
    EXPECT_TRUE(device.rms_norm({.weight = weight.get(), .in = in.view(), .out = out.view()}, {}));
    return out.values();
  };
  const auto all = run(*three_, 0, rows);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::vector<float> wanted(all.begin() + row * width, all.begin() + (row + 1) * width);
    ASSERT_EQ(run(*one_, row, 1), wanted) << row;
  }
}

}  // namespace
}  // namespace weft::testing
