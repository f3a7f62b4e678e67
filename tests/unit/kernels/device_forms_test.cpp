// Every host device against closed forms: numbers that a person can work out, not another device's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/kernels/support.h"

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;

class DeviceForms : public ::testing::TestWithParam<DeviceCase> {
 protected:
  void SetUp() override {
    auto made = GetParam().make();
    ASSERT_TRUE(made) << made.error().message;
    device_ = std::move(*made);
  }
  std::unique_ptr<Weight> weight(WeightUse use, std::int64_t rows, std::int64_t columns,
                                 const std::vector<float>& values, const std::vector<float>& bias = {}) {
    return make_weight(*device_, use, DType::f32, DType::f32, rows, columns, values, bias);
  }

  std::unique_ptr<Device> device_;
};
INSTANTIATE_TEST_SUITE_P(Devices, DeviceForms, ::testing::ValuesIn(all_devices()),
                         [](const auto& test) { return test.param.name; });

TEST_P(DeviceForms, SaysThatItIsBatchInvariantHostMemory) {
  const DeviceInfo info = device_->info();
  EXPECT_TRUE(info.batch_invariant);
  EXPECT_EQ(info.memory, MemoryKind::host);
  EXPECT_THAT(info.compute_types, ::testing::UnorderedElementsAre(DType::f32, DType::f16, DType::bf16));
  EXPECT_FALSE(info.description.empty());
}

TEST_P(DeviceForms, MemoryIsZeroedAlignedAndCopied) {
  for (const Bytes size : {Bytes{1}, Bytes{63}, Bytes{4096}, Bytes{3} << 20}) {
    const auto buffer = device_->allocate(size);
    ASSERT_TRUE(buffer) << buffer.error().message;
    EXPECT_EQ(buffer->size, size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->data) % 64, 0u);
    for (Bytes i = 0; i < size; ++i)
      ASSERT_EQ(buffer->as<unsigned char>()[i], 0);
    const std::vector<unsigned char> sent(size, 7);
    std::vector<unsigned char> received(size);
    EXPECT_TRUE(device_->copy_in(*buffer, sent.data(), size, device_->stream()));
    EXPECT_TRUE(device_->synchronize(device_->stream()));
    EXPECT_TRUE(device_->copy_out(received.data(), *buffer, size, device_->stream()));
    EXPECT_EQ(sent, received);
    device_->release(*buffer);
  }
}

TEST_P(DeviceForms, MemoryThatIsNotThereIsResourceExhausted) {
  for (const Bytes size : {Bytes{1} << 62, std::numeric_limits<Bytes>::max()}) {
    const auto buffer = device_->allocate(size);
    ASSERT_FALSE(buffer);
    EXPECT_EQ(buffer.error().code, ErrorCode::resource_exhausted);
  }
  const auto cache = device_->create_kv_cache(
      {.layers = 1 << 10, .kv_heads = 1 << 10, .head_dim = 1 << 10, .block_size = 1 << 10}, 1 << 10);
  ASSERT_FALSE(cache);
  EXPECT_EQ(cache.error().code, ErrorCode::resource_exhausted);
}

TEST_P(DeviceForms, EmbedLooksUpScalesAndGivesZerosOutsideItsShard) {
  const auto table = weight(WeightUse::embedding, 3, 2, {1, 2, 3, 4, 5, 6});
  const Indices ids({12, 10, 9, 13, -1, 11});
  Matrix out(DType::f32, 6, 2, {}, 5);
  const auto done =
      device_->embed({.table = table.get(), .ids = ids.buffer(), .first_row = 10, .scale = 2, .out = out.view()}, {});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_THAT(out.values(), ElementsAre(10, 12, 2, 4, 0, 0, 0, 0, 0, 0, 6, 8));
  EXPECT_TRUE(out.guards_intact());
}

TEST_P(DeviceForms, RmsNormOfEqualElementsIsTheirSignTimesTheWeight) {
  const auto scale = weight(WeightUse::vector, 1, 3, {1, 2, 3});
  const Matrix in(DType::f32, 2, 3, {4, 4, 4, -2, -2, -2});
  Matrix out(DType::f32, 2, 3, {}, 4);
  ASSERT_TRUE(device_->rms_norm(
      {.weight = scale.get(), .epsilon = 0, .weight_offset = 1, .in = in.view(), .out = out.view()}, {}));
  EXPECT_THAT(out.values(), ElementsAre(FloatEq(2), FloatEq(3), FloatEq(4), FloatEq(-2), FloatEq(-3), FloatEq(-4)));
  EXPECT_TRUE(out.guards_intact());
}

TEST_P(DeviceForms, RmsNormAddsToTheResidualAndNormsWhatIsStored) {
  const auto ones = weight(WeightUse::vector, 1, 2, {1, 1});
  Matrix in(DType::f32, 1, 2, {1, 5});
  // In bf16 256 + 1 is 256: what is normed is the sum as stored.
  Matrix residual(DType::bf16, 1, 2, {256, 187});
  ASSERT_TRUE(device_->rms_norm(
      {.weight = ones.get(), .epsilon = 0, .in = in.view(), .residual = residual.view(), .out = in.view()}, {}));
  EXPECT_THAT(residual.values(), ElementsAre(256, 192));
  const float root = std::sqrt((256.f * 256 + 192.f * 192) / 2);
  EXPECT_THAT(in.values(), ElementsAre(FloatEq(256 / root), FloatEq(192 / root)));
}

TEST_P(DeviceForms, LinearWithTheIdentityCopies) {
  constexpr std::int64_t size = 37;
  std::vector<float> identity(size * size);
  for (std::size_t i = 0; i < size; ++i)
    identity[i * size + i] = 1;
  const auto values = random_values(5 * size, 1);
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    const auto w = make_weight(*device_, WeightUse::linear, type, type, size, size, identity);
    const Matrix in(type, 5, size, values, 40);
    Matrix out(type, 5, size, {}, 41);
    ASSERT_TRUE(device_->linear({.weight = w.get(), .in = in.view(), .out = out.view()}, {}));
    EXPECT_EQ(out.values(), in.values());
    EXPECT_TRUE(out.guards_intact());
  }
}

TEST_P(DeviceForms, LinearMultipliesByTheTransposeAndAddsItsBias) {
  const auto w = weight(WeightUse::linear, 2, 3, {1, 2, 3, 4, 5, 6}, {10, 20});
  const Matrix in(DType::f32, 2, 3, {1, 0, -1, 2, 2, 2});
  Matrix out(DType::f32, 2, 2);
  ASSERT_TRUE(device_->linear({.weight = w.get(), .in = in.view(), .out = out.view()}, {}));
  EXPECT_THAT(out.values(), ElementsAre(8, 18, 22, 50));
  ASSERT_TRUE(device_->linear(
      {.weight = w.get(), .in = in.view(), .out = out.view(), .epilogue = LinearArgs::Epilogue::add}, {}));
  EXPECT_THAT(out.values(), ElementsAre(16, 36, 44, 100));
}

TEST_P(DeviceForms, LinearStacksItsPartsOneBelowTheOtherWhateverTheirTypes) {
  const std::vector<float> first{1, 0, 9, 0, 1, 9};  // two rows of two, three apart
  const auto second = packed(DType::bf16, {2, 3});
  const std::vector<float> first_bias{1, 2};
  const auto second_bias = packed(DType::bf16, {3});
  const WeightPart parts[] = {
      {.data = first.data(), .rows = 2, .columns = 2, .row_stride = 3, .bias = first_bias.data()},
      {.data = second.data(), .type = DType::bf16, .rows = 1, .columns = 2, .bias = second_bias.data()}};
  const auto w = device_->load_weight(parts, {.name = "stack"});
  ASSERT_TRUE(w) << w.error().message;
  EXPECT_EQ((*w)->rows(), 3);
  EXPECT_EQ((*w)->columns(), 2);
  EXPECT_GT((*w)->bytes(), 0u);
  const Matrix in(DType::f32, 1, 2, {5, 7});
  Matrix out(DType::f32, 1, 3);
  ASSERT_TRUE(device_->linear({.weight = w->get(), .in = in.view(), .out = out.view()}, {}));
  EXPECT_THAT(out.values(), ElementsAre(6, 9, 34));
}

TEST_P(DeviceForms, WeightsMayLieAtAnyAddress) {
  // A tensor in a mapped file starts where the header ends.
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    auto bytes = packed(type, {1, 2, 3, 4, 5, 6});
    bytes.insert(bytes.begin(), std::byte{0});
    const WeightPart part{
        .data = bytes.data() + 1, .type = type, .rows = 2, .columns = 2, .bias = bytes.data() + 1 + 4 * size_of(type)};
    const auto w = device_->load_weight({&part, 1}, {.name = "odd"});
    ASSERT_TRUE(w) << w.error().message;
    const Matrix in(DType::f32, 1, 2, {10, 1});
    Matrix out(DType::f32, 1, 2);
    ASSERT_TRUE(device_->linear({.weight = w->get(), .in = in.view(), .out = out.view()}, {}));
    EXPECT_THAT(out.values(), ElementsAre(17, 40));
  }
}

TEST_P(DeviceForms, LinearRoundsItsWeightsToTheTypeItComputesIn) {
  const auto w = make_weight(*device_, WeightUse::linear, DType::f32, DType::bf16, 1, 1, {1.001f});
  const Matrix in(DType::f32, 1, 1, {1});
  Matrix out(DType::f32, 1, 1);
  ASSERT_TRUE(device_->linear({.weight = w.get(), .in = in.view(), .out = out.view()}, {}));
  EXPECT_EQ(out.at(0, 0), 1.0f);
}

TEST_P(DeviceForms, GateMultipliesTheActivatedFirstHalfByTheSecond) {
  // One input of 1: gate is the bias of the first two rows plus the weight, up that of the last two.
  const auto w = weight(WeightUse::linear, 4, 1, {1, -2, 3, 4}, {0.5f, 0, 0, 1});
  const Matrix in(DType::f32, 1, 1, {1});
  const auto run = [&](Activation activation) {
    Matrix out(DType::f32, 1, 2);
    EXPECT_TRUE(device_->linear({.weight = w.get(),
                                 .in = in.view(),
                                 .out = out.view(),
                                 .epilogue = LinearArgs::Epilogue::gate,
                                 .activation = activation},
                                {}));
    return out.values();
  };
  EXPECT_THAT(run(Activation::silu), ElementsAre(FloatNear(3.6790851f, 2e-6f), FloatNear(-1.1920292f, 1e-6f)));
  EXPECT_THAT(run(Activation::gelu), ElementsAre(FloatNear(4.1993676f, 2e-6f), FloatNear(-0.2275013f, 1e-6f)));
  EXPECT_THAT(run(Activation::gelu_tanh), ElementsAre(FloatNear(4.1987147f, 2e-6f), FloatNear(-0.2270115f, 1e-6f)));
}

TEST_P(DeviceForms, GatherTakesRowsInAnyOrder) {
  const Matrix in(DType::bf16, 3, 2, {1, 2, 3, 4, 5, 6}, 7);
  const Indices rows({2, 0, 0, 1});
  Matrix out(DType::bf16, 4, 2, {}, 3);
  ASSERT_TRUE(device_->gather_rows(in.view(), rows.buffer(), out.view(), {}));
  EXPECT_THAT(out.values(), ElementsAre(5, 6, 1, 2, 1, 2, 3, 4));
  EXPECT_TRUE(out.guards_intact());
}

TEST_P(DeviceForms, ArgmaxIsTheFirstLargestAndNeverNan) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr std::int64_t columns = 41;
  std::vector<float> values(4 * columns, -3.f);
  values[5] = values[7] = values[40] = 2;  // a tie
  values[columns] = nan;
  values[columns + 40] = -1;
  std::fill_n(values.begin() + 2 * columns, columns, -infinity);
  std::fill_n(values.begin() + 3 * columns, columns, nan);
  const Matrix logits(DType::f32, 4, columns, values, 50);
  Indices ids({-1, -1, -1, -1, -77});
  Matrix largest(DType::f32, 1, 4);
  ASSERT_TRUE(device_->argmax(logits.view(), {ids.buffer().slice(0, 16)}, largest.view().buffer, {}));
  EXPECT_THAT(ids.values(), ElementsAre(5, 40, 0, 0, -77));
  EXPECT_THAT(largest.values(), ElementsAre(2, -1, -infinity, ::testing::IsNan()));
  ASSERT_TRUE(device_->argmax(logits.view(), ids.buffer(), {}, {}));
}

TEST_P(DeviceForms, BatchOfNoRowsDoesNothing) {
  const auto w = weight(WeightUse::linear, 2, 3, {1, 2, 3, 4, 5, 6});
  const auto norm = weight(WeightUse::vector, 1, 3, {1, 1, 1});
  const auto table = weight(WeightUse::embedding, 3, 2, {1, 2, 3, 4, 5, 6});
  const TensorView in{.columns = 3};
  const TensorView out{.columns = 2};
  EXPECT_TRUE(device_->linear({.weight = w.get(), .in = in, .out = out}, {}));
  EXPECT_TRUE(device_->rms_norm({.weight = norm.get(), .in = in, .out = in}, {}));
  EXPECT_TRUE(device_->embed({.table = table.get(), .out = out}, {}));
  EXPECT_TRUE(device_->gather_rows(in, {}, in, {}));
  EXPECT_TRUE(device_->argmax(in, {}, {}, {}));
  const auto cache = device_->create_kv_cache({.layers = 1, .kv_heads = 1, .head_dim = 2}, 1);
  ASSERT_TRUE(cache);
  EXPECT_TRUE(device_->rope_and_append(
      {.qkv = {.columns = 6}, .query_heads = 1, .kv_heads = 1, .head_dim = 2, .cache = cache->get()}, {}));
  EXPECT_TRUE(device_->attention(
      {.qkv = {.columns = 6}, .out = out, .query_heads = 1, .kv_heads = 1, .head_dim = 2, .cache = cache->get()}, {}));
}

TEST_P(DeviceForms, HasNoOptionalInterfaceYet) { EXPECT_EQ(device_->query("weft.graphs.v1"), nullptr); }

}  // namespace
}  // namespace weft::testing
