// rope_and_append and attention of every host device against closed forms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/kernels/support.h"

namespace weft::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;

class DeviceSequences : public ::testing::TestWithParam<DeviceCase> {
 protected:
  void SetUp() override {
    auto made = GetParam().make();
    ASSERT_TRUE(made) << made.error().message;
    device_ = std::move(*made);
  }
  std::unique_ptr<KvCache> cache(const KvSpec& spec, std::int32_t blocks) {
    auto made = device_->create_kv_cache(spec, blocks);
    EXPECT_TRUE(made) << made.error().message;
    EXPECT_EQ((*made)->blocks(), blocks);
    EXPECT_EQ((*made)->bytes(), device_->kv_block_bytes(spec) * static_cast<Bytes>(blocks));
    return std::move(*made);
  }
  // One head of one element, block size 4, no rotation: rows are query, key, value.
  std::vector<float> attend(const std::vector<float>& qkv, const Batch& batch, KvCache& kv, AttentionArgs args = {}) {
    Matrix rows(DType::f32, batch.tokens, 3, qkv);
    Matrix out(DType::f32, batch.tokens, 1);
    const auto appended = device_->rope_and_append(
        {.qkv = rows.view(), .query_heads = 1, .kv_heads = 1, .head_dim = 1, .batch = batch.paged(), .cache = &kv}, {});
    EXPECT_TRUE(appended) << appended.error().message;
    args.qkv = rows.view();
    args.out = out.view();
    args.query_heads = args.kv_heads = args.head_dim = 1;
    args.batch = batch.paged();
    args.cache = &kv;
    const auto done = device_->attention(args, {});
    EXPECT_TRUE(done) << done.error().message;
    return out.values();
  }
  static constexpr KvSpec one{.layers = 1, .kv_heads = 1, .head_dim = 1, .block_size = 4};

  std::unique_ptr<Device> device_;
};
INSTANTIATE_TEST_SUITE_P(Devices, DeviceSequences, ::testing::ValuesIn(all_devices()),
                         [](const auto& test) { return test.param.name; });

TEST_P(DeviceSequences, EqualScoresGiveTheMeanOfWhatARowSees) {
  const auto kv = cache(one, 4);
  std::vector<float> qkv;
  for (int i = 0; i < 10; ++i)
    qkv.insert(qkv.end(), {0, 1, static_cast<float>(i)});
  const Batch batch({{.rows = 10}}, 4, 4, 4, 1);
  const auto out = attend(qkv, batch, *kv);
  for (std::size_t i = 0; i < 10; ++i)
    EXPECT_FLOAT_EQ(out[i], static_cast<float>(i) / 2) << i;
}

TEST_P(DeviceSequences, AWindowCountsTheRowItself) {
  std::vector<float> qkv;
  for (int i = 0; i < 10; ++i)
    qkv.insert(qkv.end(), {0, 1, static_cast<float>(i)});
  const Batch batch({{.rows = 10}}, 4, 4, 4, 1);
  const auto kv = cache(one, 4);
  const auto three = attend(qkv, batch, *kv, {.window = 3});
  EXPECT_FLOAT_EQ(three[0], 0);
  EXPECT_FLOAT_EQ(three[1], 0.5f);
  for (std::size_t i = 2; i < 10; ++i)
    EXPECT_FLOAT_EQ(three[i], static_cast<float>(i) - 1) << i;
  const auto self = attend(qkv, batch, *kv, {.window = 1});
  for (std::size_t i = 0; i < 10; ++i)
    EXPECT_FLOAT_EQ(self[i], static_cast<float>(i)) << i;
  const auto all = attend(qkv, batch, *kv, {.window = std::numeric_limits<std::int32_t>::max()});
  EXPECT_FLOAT_EQ(all[9], 4.5f);
}

TEST_P(DeviceSequences, TwoScoresGiveTheSigmoidOfTheirDifference) {
  const auto kv = cache(one, 1);
  const Batch batch({{.rows = 2}}, 4, 1, 1, 1);
  const std::vector<float> qkv{0, 1, 0, 2, 4, 1};  // the second row's scores: 2 and 8, values 0 and 1
  const auto sigmoid = [](double x) { return static_cast<float>(1 / (1 + std::exp(-x))); };
  EXPECT_THAT(attend(qkv, batch, *kv), ElementsAre(0, FloatNear(sigmoid(6), 1e-6f)));
  EXPECT_THAT(attend(qkv, batch, *kv, {.scale = 0.25f}), ElementsAre(0, FloatNear(sigmoid(1.5), 1e-6f)));
  const double capped = 3 * (std::tanh(4 / 3.) - std::tanh(1 / 3.));
  EXPECT_THAT(attend(qkv, batch, *kv, {.scale = 0.5f, .soft_cap = 3}),
              ElementsAre(0, FloatNear(sigmoid(capped), 1e-6f)));
}

TEST_P(DeviceSequences, LargeScoresDoNotOverflow) {
  const auto kv = cache(one, 1);
  const Batch batch({{.rows = 2}}, 4, 1, 1, 1);
  EXPECT_THAT(attend({0, -1e4f, 3, 1e4f, 1e4f, 5}, batch, *kv), ElementsAre(3, 5));
}

TEST_P(DeviceSequences, DecodeSeesWhatEarlierStepsWroteAndNothingStale) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const auto kv = cache(one, 8);
  // Every slot is poisoned first, by one sequence that has them all.
  std::vector<float> poison;
  for (int i = 0; i < 32; ++i)
    poison.insert(poison.end(), {0, nan, nan});
  attend(poison, Batch({{.rows = 32}}, 4, 8, 8, 9), *kv);

  attend({0, 1, 10, 0, 1, 20, 0, 1, 1, 0, 1, 2, 0, 1, 3, 0, 1, 4, 0, 1, 5},
         Batch({{.rows = 2}, {.rows = 5}}, 4, 8, 2, 3), *kv);
  // Now one decode row, and two rows of the other, in one batch.
  const auto out = attend({0, 1, 30, 0, 1, 6, 0, 1, 7},
                          Batch({{.cached = 2, .rows = 1}, {.cached = 5, .rows = 2}}, 4, 8, 2, 3), *kv);
  EXPECT_THAT(out, ElementsAre(FloatEq(20), FloatEq(3.5f), FloatEq(4)));
}

TEST_P(DeviceSequences, QueryHeadsShareTheirKvHead) {
  // 4 query heads over 2 KV heads of 3: one token, so each head's output is its KV head's value.
  const KvSpec spec{.layers = 2, .kv_heads = 2, .head_dim = 3, .block_size = 1};
  const auto kv = cache(spec, 3);
  const Batch batch({{.rows = 1}}, 1, 3, 1, 1);
  std::vector<float> row(24, 1.f);
  for (std::size_t i = 0; i < 6; ++i)
    row[18 + i] = static_cast<float>(i);
  Matrix qkv(DType::f32, 1, 24, row);
  Matrix out(DType::bf16, 1, 12, {}, 13);
  for (const std::int32_t layer : {1, 0}) {
    ASSERT_TRUE(device_->rope_and_append({.qkv = qkv.view(),
                                          .query_heads = 4,
                                          .kv_heads = 2,
                                          .head_dim = 3,
                                          .batch = batch.paged(),
                                          .cache = kv.get(),
                                          .layer = layer},
                                         {}));
    ASSERT_TRUE(device_->attention({.qkv = qkv.view(),
                                    .out = out.view(),
                                    .query_heads = 4,
                                    .kv_heads = 2,
                                    .head_dim = 3,
                                    .batch = batch.paged(),
                                    .cache = kv.get(),
                                    .layer = layer},
                                   {}));
    EXPECT_THAT(out.values(), ElementsAre(0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5));
    EXPECT_TRUE(out.guards_intact());
  }
}

TEST_P(DeviceSequences, RopeTurnsPairsHalfARotaryApartAndLeavesTheRestAndTheValues) {
  const KvSpec spec{.layers = 1, .kv_heads = 1, .head_dim = 5, .block_size = 4};
  const auto kv = cache(spec, 1);
  const Batch batch({{.cached = 1, .rows = 1}}, 4, 1, 1, 1);
  // Position 1 turns the pair (0, 2) by 90 degrees and the pair (1, 3) by 180.
  const auto table = make_weight(*device_, WeightUse::table, DType::f32, DType::f32, 2, 4, {1, 1, 0, 0, 0, -1, 1, 0});
  Matrix qkv(DType::f32, 1, 15, {1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 6, 7, 8, 9, 10}, 17);
  ASSERT_TRUE(device_->rope_and_append({.qkv = qkv.view(),
                                        .query_heads = 1,
                                        .kv_heads = 1,
                                        .head_dim = 5,
                                        .table = table.get(),
                                        .rotary_dim = 4,
                                        .batch = batch.paged(),
                                        .cache = kv.get()},
                                       {}));
  EXPECT_THAT(qkv.values(), ElementsAre(-3, -2, 1, -4, 5, -30, -20, 10, -40, 50, 6, 7, 8, 9, 10));
  EXPECT_TRUE(qkv.guards_intact());
}

TEST_P(DeviceSequences, HeadsAreNormedBeforeTheyTurn) {
  const KvSpec spec{.layers = 1, .kv_heads = 1, .head_dim = 2, .block_size = 4};
  const auto kv = cache(spec, 1);
  const Batch batch({{.cached = 1, .rows = 1}}, 4, 1, 1, 1);
  const auto table = make_weight(*device_, WeightUse::table, DType::f32, DType::f32, 2, 2, {1, 0, 0, 1});
  const auto query_norm = make_weight(*device_, WeightUse::vector, DType::f32, DType::f32, 1, 2, {1, 2});
  const auto key_norm = make_weight(*device_, WeightUse::vector, DType::f32, DType::f32, 1, 2, {3, 4});
  Matrix qkv(DType::f32, 1, 6, {5, 5, -7, 7, 8, 9});
  ASSERT_TRUE(device_->rope_and_append({.qkv = qkv.view(),
                                        .query_heads = 1,
                                        .kv_heads = 1,
                                        .head_dim = 2,
                                        .table = table.get(),
                                        .rotary_dim = 2,
                                        .query_norm = query_norm.get(),
                                        .key_norm = key_norm.get(),
                                        .epsilon = 0,
                                        .weight_offset = 1,
                                        .batch = batch.paged(),
                                        .cache = kv.get()},
                                       {}));
  EXPECT_THAT(qkv.values(), ElementsAre(FloatEq(-3), FloatEq(2), FloatEq(-5), FloatEq(-4), 8, 9));
}

TEST_P(DeviceSequences, TheCacheHoldsItsOwnType) {
  const auto kv = cache({.layers = 1, .kv_heads = 1, .head_dim = 1, .block_size = 4, .type = DType::bf16}, 1);
  EXPECT_THAT(attend({0, 1, 1.001f}, Batch({{.rows = 1}}, 4, 1, 1, 1), *kv), Each(1.0f));
}

}  // namespace
}  // namespace weft::testing
