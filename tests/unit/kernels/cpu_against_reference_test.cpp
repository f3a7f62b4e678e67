// The cpu device against the reference device, on every SIMD target that this machine has.
//
// Tolerances: both round once to the type they store, after sums in f32 (cpu) and in double (reference). So a result is
// off by the error of the sum, at most about terms * 2^-24 of the sum of magnitudes, and by one unit in the last place
// of the stored type where the sum's error crosses the point between two numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <cmath>

#include "kernels/cpu/cpu_device.h"
#include "kernels/reference/reference_device.h"
#include "tests/unit/kernels/attention_case.h"
#include "tests/unit/kernels/support.h"

namespace weft::testing {
namespace {

constexpr DType float_types[] = {DType::f32, DType::f16, DType::bf16};

float last_place(DType type) { return type == DType::f32 ? 0x1p-23f : type == DType::f16 ? 0x1p-10f : 0x1p-7f; }

void expect_near(const std::vector<float>& got, const std::vector<float>& wanted, DType type, float absolute,
                 const std::string& what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], wanted[i], absolute + last_place(type) * std::abs(wanted[i])) << what << ", element " << i;
}

// The parameter is a Highway target.
class CpuAgainstReference : public ::testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override {
    hwy::SetSupportedTargetsForTest(GetParam());
    auto made = make_cpu_device({.threads = 2});
    ASSERT_TRUE(made) << made.error().message;
    cpu_ = std::move(*made);
    auto oracle = make_reference_device();
    ASSERT_TRUE(oracle);
    reference_ = std::move(*oracle);
    EXPECT_THAT(cpu_->info().description, ::testing::HasSubstr(hwy::TargetName(GetParam())));
  }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }

  std::unique_ptr<Device> cpu_;
  std::unique_ptr<Device> reference_;
};

std::vector<std::int64_t> targets() {
  std::vector<std::int64_t> found;
  for (const std::int64_t target : {HWY_SSE4, HWY_AVX2, HWY_AVX3, HWY_STATIC_TARGET})
    if (target == HWY_STATIC_TARGET || (hwy::SupportedTargets() & target) != 0) found.push_back(target);
  return found;
}
INSTANTIATE_TEST_SUITE_P(Targets, CpuAgainstReference, ::testing::ValuesIn(targets()),
                         [](const auto& test) { return std::string(hwy::TargetName(test.param)); });

struct LinearCase {
  std::int64_t rows, outputs, columns;
  DType stored, compute, in, out;
  LinearArgs::Epilogue epilogue;
  Activation activation;
  bool bias;
};

std::vector<float> run_linear(Device& device, const LinearCase& of, std::uint64_t seed) {
  const bool gate = of.epilogue == LinearArgs::Epilogue::gate;
  const std::int64_t outputs = gate ? of.outputs * 2 : of.outputs;
  const auto weight = make_weight(device, WeightUse::linear, of.stored, of.compute, outputs, of.columns,
                                  random_values(outputs * of.columns, seed),
                                  of.bias ? random_values(outputs, seed + 1) : std::vector<float>{});
  const Matrix in(of.in, of.rows, of.columns, random_values(of.rows * of.columns, seed + 2), of.columns + 1);
  Matrix out(of.out, of.rows, of.outputs, random_values(of.rows * of.outputs, seed + 3), of.outputs + 3);
  const auto done = device.linear({.weight = weight.get(),
                                   .in = in.view(),
                                   .out = out.view(),
                                   .epilogue = of.epilogue,
                                   .activation = of.activation},
                                  {});
  EXPECT_TRUE(done) << done.error().message;
  EXPECT_TRUE(out.guards_intact());
  return out.values();
}

TEST_P(CpuAgainstReference, LinearOfEveryShapeTypeAndEpilogue) {
  Random random(7);
  const auto pick = [&](auto&& from) {
    return from[static_cast<std::size_t>(random.below(static_cast<std::int32_t>(std::size(from))))];
  };
  const std::int64_t rows[] = {1, 1, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 17, 24, 25, 31, 32, 47, 193, 200};
  const std::int64_t outputs[] = {1, 2, 7, 31, 32, 33, 63, 64, 96, 127, 128, 129, 160, 200};
  const std::int64_t columns[] = {1, 2, 15, 16, 17, 48, 100, 255, 256, 257, 300, 513};
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const LinearCase of{pick(rows),
                        pick(outputs),
                        pick(columns),
                        pick(float_types),
                        pick(float_types),
                        pick(float_types),
                        pick(float_types),
                        static_cast<LinearArgs::Epilogue>(random.below(3)),
                        static_cast<Activation>(random.below(3)),
                        random.below(2) == 1};
    const std::string what = "seed " + std::to_string(seed) + ": [" + std::to_string(of.rows) + ", " +
                             std::to_string(of.columns) + "] x " + std::to_string(of.outputs);
    // Gate multiplies two sums, each up to about sqrt(columns).
    const float sums = of.epilogue == LinearArgs::Epilogue::gate ? std::sqrt(static_cast<float>(of.columns)) : 1.f;
    expect_near(run_linear(*cpu_, of, seed), run_linear(*reference_, of, seed), of.out,
                2e-6f + 2e-7f * static_cast<float>(of.columns) * sums, what);
  }
}

TEST_P(CpuAgainstReference, ActivationsFarFromZero) {
  const std::vector<float> values{0,  -0.f, 1e-8f, -1e-8f, 0.5f, -0.5f, 5,     -5,     20,   -20,
                                  60, -60,  87,    -87,    89,   -89,   104.f, -104.f, 1000, -1000};
  const auto size = static_cast<std::int64_t>(values.size());
  // Weight of one input: gate values, then ones.
  std::vector<float> weights = values;
  weights.resize(2 * values.size(), 1.f);
  for (const Activation activation : {Activation::silu, Activation::gelu, Activation::gelu_tanh}) {
    std::vector<float> results[2];
    for (Device* device : {cpu_.get(), reference_.get()}) {
      const auto weight = make_weight(*device, WeightUse::linear, DType::f32, DType::f32, 2 * size, 1, weights);
      const Matrix in(DType::f32, 1, 1, {1});
      Matrix out(DType::f32, 1, size);
      ASSERT_TRUE(device->linear({.weight = weight.get(),
                                  .in = in.view(),
                                  .out = out.view(),
                                  .epilogue = LinearArgs::Epilogue::gate,
                                  .activation = activation},
                                 {}));
      results[device == reference_.get()] = out.values();
    }
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(results[0][i], results[1][i], 1e-6f * std::abs(results[1][i]) + 1e-7f)
          << "activation " << static_cast<int>(activation) << " of " << values[i];
  }
}

TEST_P(CpuAgainstReference, RmsNormOfEveryWidthAndType) {
  std::uint64_t seed = 0;
  for (const std::int64_t width : {1, 2, 7, 15, 16, 17, 31, 33, 64, 100, 255, 288, 1000})
    for (const DType in_type : float_types)
      for (const DType out_type : float_types) {
        ++seed;
        const std::int64_t rows = 1 + static_cast<std::int64_t>(seed % 40);
        std::vector<float> out_values[2], residual_values[2];
        for (Device* device : {cpu_.get(), reference_.get()}) {
          const auto weight =
              make_weight(*device, WeightUse::vector, DType::f32, DType::f32, 1, width, random_values(width, seed));
          const Matrix in(in_type, rows, width, random_values(rows * width, seed + 1, -4, 4), width + 1);
          Matrix residual(out_type, rows, width, random_values(rows * width, seed + 2, -4, 4), width + 2);
          Matrix out(out_type, rows, width, {}, width + 3);
          const NormArgs args{.weight = weight.get(),
                              .epsilon = 1e-5f,
                              .weight_offset = 0.5f,
                              .in = in.view(),
                              .residual = seed % 2 == 0 ? residual.view() : TensorView{},
                              .out = out.view()};
          ASSERT_TRUE(device->rms_norm(args, {}));
          EXPECT_TRUE(out.guards_intact() && residual.guards_intact());
          out_values[device == reference_.get()] = out.values();
          residual_values[device == reference_.get()] = residual.values();
        }
        expect_near(out_values[0], out_values[1], out_type, 2e-6f + 1e-8f * static_cast<float>(width),
                    "width " + std::to_string(width));
        // An addition of two f32 rounded once: the same bits wherever f32 itself does not round first.
        expect_near(residual_values[0], residual_values[1], out_type, 0, "residual, width " + std::to_string(width));
      }
}

TEST_P(CpuAgainstReference, EmbedGatherAndArgmaxAreTheSameBits) {
  for (std::uint64_t seed = 1; seed < 30; ++seed) {
    Random random(seed);
    const std::int64_t width = 1 + random.below(70), rows = 1 + random.below(30), table_rows = 1 + random.below(40);
    const DType stored = float_types[seed % 3], type = float_types[seed / 3 % 3];
    std::vector<std::int32_t> ids(static_cast<std::size_t>(rows)), picks(ids.size());
    for (auto& id : ids)
      id = random.below(60) - 10;
    for (auto& pick : picks)
      pick = random.below(static_cast<std::int32_t>(rows));
    const Indices id_buffer(ids), pick_buffer(picks);
    std::vector<float> embedded[2], gathered[2], values[2];
    std::vector<std::int32_t> largest[2];
    for (Device* device : {cpu_.get(), reference_.get()}) {
      const bool which = device == reference_.get();
      const auto table = make_weight(*device, WeightUse::embedding, stored, stored, table_rows, width,
                                     random_values(table_rows * width, seed));
      Matrix out(type, rows, width, {}, width + 1);
      ASSERT_TRUE(device->embed(
          {.table = table.get(), .ids = id_buffer.buffer(), .first_row = 3, .scale = 1.5f, .out = out.view()}, {}));
      Matrix taken(type, rows, width, {}, width + 2);
      ASSERT_TRUE(device->gather_rows(out.view(), pick_buffer.buffer(), taken.view(), {}));
      Indices best(std::vector<std::int32_t>(ids.size(), -1));
      Matrix best_values(DType::f32, 1, rows);
      ASSERT_TRUE(device->argmax(taken.view(), best.buffer(), best_values.view().buffer, {}));
      EXPECT_TRUE(out.guards_intact() && taken.guards_intact() && best_values.guards_intact());
      embedded[which] = out.values();
      gathered[which] = taken.values();
      largest[which] = best.values();
      values[which] = best_values.values();
    }
    EXPECT_EQ(embedded[0], embedded[1]) << seed;
    EXPECT_EQ(gathered[0], gathered[1]) << seed;
    EXPECT_EQ(largest[0], largest[1]) << seed;
    EXPECT_EQ(values[0], values[1]) << seed;
  }
}

// Every finite f16 there is, subnormals too, through a device's widening and narrowing.
TEST_P(CpuAgainstReference, F16AndBf16SurviveTheRoadToF32AndBack) {
  for (const DType type : {DType::f16, DType::bf16}) {
    std::vector<float> values;
    for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
      const auto narrow = static_cast<std::uint16_t>(bits);
      const float value = type == DType::f16 ? to_f32(f16{narrow}) : to_f32(bf16{narrow});
      if (std::isfinite(value)) values.push_back(value);
    }
    const auto count = static_cast<std::int64_t>(values.size());
    const auto table = make_weight(*cpu_, WeightUse::embedding, type, type, 1, count, values);
    const Indices id({0});
    Matrix wide(DType::f32, 1, count), same(type, 1, count);
    ASSERT_TRUE(cpu_->embed({.table = table.get(), .ids = id.buffer(), .out = wide.view()}, {}));
    ASSERT_TRUE(cpu_->embed({.table = table.get(), .ids = id.buffer(), .out = same.view()}, {}));
    EXPECT_EQ(wide.values(), values);
    EXPECT_EQ(same.values(), values);
  }
}

TEST_P(CpuAgainstReference, NarrowingRoundsToNearestEven) {
  std::vector<float> values;
  Random random(3);
  for (int i = 0; i < 100000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random.next()));
    if (!std::isnan(value)) values.push_back(value);
  }
  for (const float value : {65504.f, 65519.f, 65520.f, 1e38f, 3.4e38f, 0x1p-24f, 0x1p-25f, 0x1.8p-24f, 0x1.8p-25f})
    values.insert(values.end(), {value, -value});
  const auto count = static_cast<std::int64_t>(values.size());
  const auto table = make_weight(*cpu_, WeightUse::embedding, DType::f32, DType::f32, 1, count, values);
  const Indices id({0});
  for (const DType type : {DType::f16, DType::bf16}) {
    Matrix got(type, 1, count);
    const Matrix wanted(type, 1, count, values);
    ASSERT_TRUE(cpu_->embed({.table = table.get(), .ids = id.buffer(), .out = got.view()}, {}));
    EXPECT_EQ(got.values(), wanted.values());
  }
}

TEST_P(CpuAgainstReference, RopeAndAttentionOfEveryHeadGroupWindowAndType) {
  const std::pair<std::int32_t, std::int32_t> heads[] = {{1, 1}, {2, 2}, {4, 2}, {8, 4}, {6, 2}, {4, 1}, {7, 1}};
  const std::int32_t block_sizes[] = {16, 1, 5, 32, 16};
  const std::int32_t windows[] = {0, 0, 1, 7, 40};
  std::uint64_t seed = 0;
  for (const std::int32_t head_dim : {8, 16, 32, 48, 64, 80, 96, 128, 1, 5, 31, 72})
    for (int round = 0; round < 4; ++round) {
      Random random(++seed);
      const auto of_five = [&] { return static_cast<std::size_t>(random.below(5)); };
      const auto [query_heads, kv_heads] = heads[static_cast<std::size_t>(random.below(7))];
      const AttentionCase of{.query_heads = query_heads,
                             .kv_heads = kv_heads,
                             .head_dim = head_dim,
                             .rotary_dim = round == 0   ? 0
                                           : round == 1 ? head_dim / 2 * 2
                                                        : head_dim / 4 * 2,
                             .head_norms = round % 2 == 1,
                             .block_size = block_sizes[of_five()],
                             .window = windows[of_five()],
                             .soft_cap = round == 2 ? 3.f : 0.f,
                             .scale = 1 / std::sqrt(static_cast<float>(head_dim)),
                             .type = float_types[seed % 3],
                             .cache_type = float_types[seed / 3 % 3],
                             .lengths = {1, 1 + random.below(70), 40, 2 + random.below(9)}};
      // A first step of prompts, one of them in chunks; then decode rows beside the rest of it.
      const auto rows = [](std::size_t sequence, std::int32_t done) {
        return sequence == 1 ? 23 : done == 0 ? (sequence == 2 ? 37 : 1) : 1;
      };
      const auto got = run_attention(*cpu_, of, seed, rows);
      const auto wanted = run_attention(*reference_, of, seed, rows);
      EXPECT_TRUE(got.guards_intact);
      const std::string what = "head_dim " + std::to_string(head_dim) + ", seed " + std::to_string(seed);
      // Where keys or queries are rounded to 16 bits, one of them a last place away moves a score by as much.
      const float absolute = of.type == DType::f32 && of.cache_type == DType::f32
                                 ? 5e-6f
                                 : last_place(of.type) + last_place(of.cache_type);
      for (std::size_t s = 0; s < of.lengths.size(); ++s) {
        expect_near(got.qkv[s], wanted.qkv[s], of.type, 2e-6f, what + ", qkv");
        expect_near(got.out[s], wanted.out[s], of.type, absolute, what + ", out");
      }
    }
}

}  // namespace
}  // namespace weft::testing
