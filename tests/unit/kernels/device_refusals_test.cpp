// Every host device refuses what would read or write outside a buffer, says why, and has written nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/kernels/support.h"

namespace weft::testing {
namespace {

constexpr std::int32_t huge = std::numeric_limits<std::int32_t>::max();

class AlienWeight final : public Weight {
 public:
  std::int64_t rows() const noexcept override { return 4; }
  std::int64_t columns() const noexcept override { return 4; }
  Bytes bytes() const noexcept override { return 0; }
};
class AlienCache final : public KvCache {
 public:
  std::int32_t blocks() const noexcept override { return 4; }
  Bytes bytes() const noexcept override { return 0; }
};

class DeviceRefusals : public ::testing::TestWithParam<DeviceCase> {
 protected:
  void SetUp() override {
    auto made = GetParam().make();
    ASSERT_TRUE(made) << made.error().message;
    device_ = std::move(*made);
    for (const auto use : {WeightUse::linear, WeightUse::embedding})
      (use == WeightUse::linear ? linear_ : embedding_) =
          make_weight(*device_, use, DType::f32, DType::f32, 4, 4, std::vector<float>(16, 1.f));
    vector_ = make_weight(*device_, WeightUse::vector, DType::f32, DType::f32, 1, 4, {1, 1, 1, 1});
    table_ = make_weight(*device_, WeightUse::table, DType::f32, DType::f32, 8, 4, rope_table(8, 4));
    auto cache = device_->create_kv_cache(spec_, 4);
    ASSERT_TRUE(cache);
    cache_ = std::move(*cache);
  }

  // Valid arguments; each test spoils one thing.
  EmbedArgs embed() { return {.table = embedding_.get(), .ids = ids_.buffer(), .out = out_.view()}; }
  NormArgs norm() {
    return {.weight = vector_.get(), .in = in_.view(), .residual = residual_.view(), .out = out_.view()};
  }
  LinearArgs linear() { return {.weight = linear_.get(), .in = in_.view(), .out = out_.view()}; }
  RopeArgs rope() {
    return {.qkv = qkv_.view(),
            .query_heads = 2,
            .kv_heads = 1,
            .head_dim = 4,
            .table = table_.get(),
            .rotary_dim = 4,
            .query_norm = vector_.get(),
            .key_norm = vector_.get(),
            .batch = batch_.paged(),
            .cache = cache_.get()};
  }
  AttentionArgs attention() {
    return {.qkv = qkv_.view(),
            .out = heads_.view(),
            .query_heads = 2,
            .kv_heads = 1,
            .head_dim = 4,
            .batch = batch_.paged(),
            .cache = cache_.get()};
  }

  template <class Spoil>
  void refused(const char* what, const Status& status, Spoil&& mentions) {
    ASSERT_FALSE(status) << what;
    EXPECT_EQ(status.error().code, ErrorCode::invalid_argument) << what << ": " << status.error().message;
    EXPECT_THAT(status.error().message, ::testing::HasSubstr(mentions)) << what;
  }
  void no_embed(const char* what, void (*spoil)(EmbedArgs&), const char* mentions = "embed") {
    EmbedArgs args = embed();
    spoil(args);
    refused(what, device_->embed(args, {}), mentions);
  }
  void no_norm(const char* what, void (*spoil)(NormArgs&), const char* mentions = "rms_norm") {
    NormArgs args = norm();
    spoil(args);
    refused(what, device_->rms_norm(args, {}), mentions);
  }
  void no_linear(const char* what, void (*spoil)(LinearArgs&), const char* mentions = "linear") {
    LinearArgs args = linear();
    spoil(args);
    refused(what, device_->linear(args, {}), mentions);
  }
  void no_rope(const char* what, void (*spoil)(RopeArgs&), const char* mentions = "rope_and_append") {
    RopeArgs args = rope();
    spoil(args);
    refused(what, device_->rope_and_append(args, {}), mentions);
  }
  void no_attention(const char* what, void (*spoil)(AttentionArgs&), const char* mentions = "attention") {
    AttentionArgs args = attention();
    spoil(args);
    refused(what, device_->attention(args, {}), mentions);
  }
  void TearDown() override {
    for (const float value : out_.values())
      EXPECT_EQ(value, 0);
    for (const float value : heads_.values())
      EXPECT_EQ(value, 0);
    for (const float value : qkv_.values())
      EXPECT_EQ(value, 0);
    EXPECT_TRUE(out_.guards_intact() && heads_.guards_intact() && qkv_.guards_intact());
  }

  static inline const KvSpec spec_{.layers = 2, .kv_heads = 1, .head_dim = 4, .block_size = 2};
  std::unique_ptr<Device> device_;
  std::unique_ptr<Weight> linear_, embedding_, vector_, table_;
  std::unique_ptr<KvCache> cache_;
  Matrix in_{DType::f32, 3, 4}, out_{DType::f32, 3, 4}, residual_{DType::f32, 3, 4};
  Matrix qkv_{DType::f32, 3, 16}, heads_{DType::f32, 3, 8};
  Indices ids_{{0, 1, 2}};
  Batch batch_{{{.rows = 3}}, 2, 4, 2, 1};
};
INSTANTIATE_TEST_SUITE_P(Devices, DeviceRefusals, ::testing::ValuesIn(all_devices()),
                         [](const auto& test) { return test.param.name; });

TEST_P(DeviceRefusals, TheirValidArgumentsAreTaken) {
  EXPECT_TRUE(device_->embed(embed(), {}));
  EXPECT_TRUE(device_->rms_norm(norm(), {}));
  EXPECT_TRUE(device_->linear(linear(), {}));
  EXPECT_TRUE(device_->rope_and_append(rope(), {}));
  EXPECT_TRUE(device_->attention(attention(), {}));
  for (Matrix* matrix : {&out_, &heads_, &qkv_})
    for (std::int64_t row = 0; row < matrix->view().rows; ++row)
      for (std::int64_t column = 0; column < matrix->view().columns; ++column)
        matrix->set(row, column, 0);
}

TEST_P(DeviceRefusals, Embed) {
  no_embed(
      "no table", [](EmbedArgs& a) { a.table = nullptr; }, "table");
  no_embed(
      "ids too few", [](EmbedArgs& a) { a.ids.size = 8; }, "ids");
  no_embed(
      "no ids", [](EmbedArgs& a) { a.ids.data = nullptr; }, "ids");
  no_embed(
      "out too narrow", [](EmbedArgs& a) { a.out.columns = 3; }, "[3, 4]");
  no_embed(
      "out too short", [](EmbedArgs& a) { a.out.buffer.size -= 1; }, "48 bytes");
  no_embed(
      "integers", [](EmbedArgs& a) { a.out.type = DType::i32; }, "i32");
  no_embed(
      "misaligned", [](EmbedArgs& a) { a.ids.data = a.ids.as<char>() + 1; }, "aligned");
  no_embed(
      "elsewhere", [](EmbedArgs& a) { a.out.buffer.kind = MemoryKind::device; }, "host memory");
}

TEST_P(DeviceRefusals, RmsNorm) {
  no_norm("no weight", [](NormArgs& a) { a.weight = nullptr; });
  no_norm("in too narrow", [](NormArgs& a) { a.in.columns = 3; });
  no_norm("out has fewer rows", [](NormArgs& a) { a.out.rows = 2; });
  no_norm(
      "residual has fewer rows", [](NormArgs& a) { a.residual.rows = 2; }, "residual");
  no_norm("rows beyond the buffer", [](NormArgs& a) { a.in.rows = a.out.rows = a.residual.rows = 4; });
  no_norm("negative rows", [](NormArgs& a) { a.in.rows = a.out.rows = a.residual.rows = -1; });
  no_norm(
      "negative stride", [](NormArgs& a) { a.in.row_stride = -4; }, "stride");
  no_norm(
      "overflowing stride", [](NormArgs& a) { a.in.row_stride = std::int64_t{1} << 62; }, "stride");
  no_norm(
      "epsilon", [](NormArgs& a) { a.epsilon = -1; }, "epsilon");
  no_norm(
      "epsilon nan", [](NormArgs& a) { a.epsilon = std::numeric_limits<float>::quiet_NaN(); }, "epsilon");
}

TEST_P(DeviceRefusals, Linear) {
  no_linear("no weight", [](LinearArgs& a) { a.weight = nullptr; });
  no_linear("in too wide", [](LinearArgs& a) { a.in.columns = 5; });
  no_linear("out too narrow", [](LinearArgs& a) { a.out.columns = 3; });
  no_linear(
      "gate halves", [](LinearArgs& a) { a.epilogue = LinearArgs::Epilogue::gate; }, "[3, 2]");
  no_linear(
      "stride below columns", [](LinearArgs& a) { a.out.row_stride = 3; }, "stride");
  LinearArgs wrong_use = linear();
  wrong_use.weight = embedding_.get();
  refused("wrong use", device_->linear(wrong_use, {}), "loaded as embedding, expected linear");
  const AlienWeight alien;
  LinearArgs foreign = linear();
  foreign.weight = &alien;
  refused("another device's weight", device_->linear(foreign, {}), "another device's");
  const auto odd = make_weight(*device_, WeightUse::linear, DType::f32, DType::f32, 3, 4, std::vector<float>(12));
  LinearArgs gate = linear();
  gate.weight = odd.get();
  gate.epilogue = LinearArgs::Epilogue::gate;
  refused("odd gate", device_->linear(gate, {}), "even");
  refused("another kind of stream", device_->linear(linear(), {.kind = Stream::Kind::cuda}), "stream");
}

TEST_P(DeviceRefusals, RopeAndAppend) {
  no_rope(
      "no cache", [](RopeArgs& a) { a.cache = nullptr; }, "KV cache");
  no_rope(
      "layer", [](RopeArgs& a) { a.layer = 2; }, "layer 2");
  no_rope(
      "negative layer", [](RopeArgs& a) { a.layer = -1; }, "layer -1");
  no_rope("heads", [](RopeArgs& a) { a.query_heads = 3; });
  no_rope("huge heads", [](RopeArgs& a) { a.query_heads = a.kv_heads = a.head_dim = huge; });
  no_rope("no heads", [](RopeArgs& a) { a.kv_heads = 0; });
  no_rope(
      "cache's heads", [](RopeArgs& a) { a.query_heads = 6, a.kv_heads = 1, a.head_dim = 2; }, "KV cache has");
  no_rope(
      "odd rotary", [](RopeArgs& a) { a.rotary_dim = 3; }, "rotary_dim");
  no_rope(
      "wide rotary", [](RopeArgs& a) { a.rotary_dim = 8; }, "rotary_dim");
  no_rope(
      "norm as table", [](RopeArgs& a) { a.table = a.query_norm; }, "table");
  no_rope(
      "table as norm", [](RopeArgs& a) { a.query_norm = a.table; }, "query_norm");
  no_rope("negative tokens", [](RopeArgs& a) { a.batch.tokens = -1; });
  no_rope("tokens beyond", [](RopeArgs& a) { a.batch.tokens = 4; });
  no_rope(
      "slots too few", [](RopeArgs& a) { a.batch.slots.size = 11; }, "slots");
  for (const std::int32_t slot : {-1, 8, huge}) {
    batch_.slots.values()[1] = slot;
    no_rope(
        "slot", [](RopeArgs&) {}, "slots[1]");
  }
  batch_.slots.values()[1] = 1;
  for (const std::int32_t position : {-1, 8, huge}) {
    batch_.positions.values()[2] = position;
    no_rope(
        "position", [](RopeArgs&) {}, "positions[2]");
  }
}

TEST_P(DeviceRefusals, AnotherDevicesCache) {
  AlienCache alien;
  RopeArgs args = rope();
  args.cache = &alien;
  refused("rope", device_->rope_and_append(args, {}), "another device's");
  AttentionArgs attention_args = attention();
  attention_args.cache = &alien;
  refused("attention", device_->attention(attention_args, {}), "another device's");
}

TEST_P(DeviceRefusals, Attention) {
  no_attention(
      "no cache", [](AttentionArgs& a) { a.cache = nullptr; }, "KV cache");
  no_attention(
      "layer", [](AttentionArgs& a) { a.layer = 2; }, "layer 2");
  no_attention(
      "out too narrow", [](AttentionArgs& a) { a.out.columns = 4; }, "out");
  no_attention(
      "qkv too narrow", [](AttentionArgs& a) { a.qkv.columns = 8; }, "qkv");
  no_attention(
      "window", [](AttentionArgs& a) { a.window = -1; }, "window");
  no_attention(
      "cap", [](AttentionArgs& a) { a.soft_cap = -1; }, "soft cap");
  no_attention(
      "scale", [](AttentionArgs& a) { a.scale = std::numeric_limits<float>::infinity(); }, "scale");
  no_attention("no sequences", [](AttentionArgs& a) { a.batch.sequences = 0; });
  no_attention("sequences beyond", [](AttentionArgs& a) { a.batch.sequences = huge; });
  no_attention(
      "max_blocks beyond", [](AttentionArgs& a) { a.batch.max_blocks = huge; }, "block_tables");
  no_attention("no blocks", [](AttentionArgs& a) { a.batch.max_blocks = 0; });
  no_attention(
      "context beyond", [](AttentionArgs& a) { a.batch.max_blocks = 1; }, "context_lengths[0]");
  no_attention(
      "no row_starts", [](AttentionArgs& a) { a.batch.row_starts = {}; }, "row_starts");
}

TEST_P(DeviceRefusals, AttentionsIndices) {
  const auto spoilt = [&](Indices& indices, std::size_t at, std::int32_t value, const char* mentions) {
    const std::int32_t kept = std::exchange(indices.values()[at], value);
    refused(mentions, device_->attention(attention(), {}), mentions);
    indices.values()[at] = kept;
  };
  for (const std::int32_t block : {-1, 4, huge})
    spoilt(batch_.block_tables, 1, block, "block_tables[0][1]");
  for (const std::int32_t position : {-1, 3, huge})
    spoilt(batch_.positions, 2, position, "positions[2]");
  for (const std::int32_t length : {-1, 0, 2, 5, huge})
    spoilt(batch_.context_lengths, 0, length, "0");
  for (const std::int32_t start : {-1, 1})
    spoilt(batch_.row_starts, 0, start, "row_starts");
  for (const std::int32_t start : {0, 2, 4, huge})
    spoilt(batch_.row_starts, 1, start, "row_starts");
}

TEST_P(DeviceRefusals, GatherAndArgmax) {
  refused("types", device_->gather_rows(in_.view(), ids_.buffer(), Matrix(DType::bf16, 3, 4).view(), {}), "types");
  refused("columns", device_->gather_rows(in_.view(), ids_.buffer(), heads_.view(), {}), "out");
  refused("rows too few", device_->gather_rows(in_.view(), ids_.buffer().slice(0, 8), out_.view(), {}), "rows");
  for (const std::int32_t row : {-1, 3, huge}) {
    ids_.values()[1] = row;
    refused("row", device_->gather_rows(in_.view(), ids_.buffer(), out_.view(), {}), "rows[1]");
  }
  refused("ids too few", device_->argmax(in_.view(), ids_.buffer().slice(0, 8), {}, {}), "ids");
  refused("values too few", device_->argmax(in_.view(), ids_.buffer(), ids_.buffer().slice(0, 8), {}), "values");
  refused("no columns", device_->argmax({.rows = 3}, ids_.buffer(), {}, {}), "columns");
}

TEST_P(DeviceRefusals, Copies) {
  char bytes[8] = {};
  const Buffer buffer{.data = bytes, .size = 4};
  refused("copy_in", device_->copy_in(buffer, bytes, 5, {}), "5 bytes");
  refused("copy_out", device_->copy_out(bytes, buffer, 5, {}), "5 bytes");
  refused("no host", device_->copy_in(buffer, nullptr, 1, {}), "copy_in");
  refused("no buffer", device_->copy_out(bytes, {}, 1, {}), "copy_out");
  refused("stream", device_->synchronize({.kind = Stream::Kind::cuda}), "stream");
}

TEST_P(DeviceRefusals, Weights) {
  const float data[8] = {};
  const WeightPart good{.data = data, .rows = 2, .columns = 2};
  const auto refusal = [&](const char* what, std::vector<WeightPart> parts, const WeightSpec& spec,
                           ErrorCode code = ErrorCode::invalid_argument) {
    const auto weight = device_->load_weight(parts, spec);
    ASSERT_FALSE(weight) << what;
    EXPECT_EQ(weight.error().code, code) << what;
    EXPECT_THAT(weight.error().message, ::testing::HasSubstr("'w'")) << what;
  };
  const WeightSpec linear{.name = "w"};
  refusal("no parts", {}, linear);
  refusal("no data", {{.rows = 2, .columns = 2}}, linear);
  refusal("no rows", {{.data = data, .rows = 0, .columns = 2}}, linear);
  refusal("negative", {{.data = data, .rows = 2, .columns = -2}}, linear);
  refusal("huge", {{.data = data, .rows = std::int64_t{1} << 40, .columns = std::int64_t{1} << 40}}, linear);
  refusal("stride", {{.data = data, .rows = 2, .columns = 2, .row_stride = 1}}, linear);
  refusal("integers", {{.data = data, .type = DType::i32, .rows = 2, .columns = 2}}, linear);
  refusal("widths", {good, {.data = data, .rows = 2, .columns = 3}}, linear);
  refusal("half a bias", {good, {.data = data, .rows = 2, .columns = 2, .bias = data}}, linear);
  refusal("compute", {good}, {.name = "w", .compute = DType::u8});
  refusal("vector of two rows", {good}, {.name = "w", .use = WeightUse::vector});
  refusal("table with bias", {{.data = data, .rows = 2, .columns = 2, .bias = data}},
          {.name = "w", .use = WeightUse::table});
  refusal("quantised", {good}, {.name = "w", .quantization = "q4"}, ErrorCode::unimplemented);
}

TEST_P(DeviceRefusals, Caches) {
  const auto refusal = [&](const KvSpec& spec, std::int32_t blocks) {
    const auto cache = device_->create_kv_cache(spec, blocks);
    ASSERT_FALSE(cache);
    EXPECT_EQ(cache.error().code, ErrorCode::invalid_argument);
  };
  const KvSpec good{.layers = 1, .kv_heads = 1, .head_dim = 1, .block_size = 1};
  refusal(good, 0);
  refusal(good, -1);
  for (std::int32_t KvSpec::*member : {&KvSpec::layers, &KvSpec::kv_heads, &KvSpec::head_dim, &KvSpec::block_size}) {
    KvSpec spec = good;
    spec.*member = 0;
    refusal(spec, 1);
    EXPECT_EQ(device_->kv_block_bytes(spec), 0u);
  }
  refusal({.layers = huge, .kv_heads = huge, .head_dim = huge, .block_size = huge}, huge);
  KvSpec integers = good;
  integers.type = DType::i32;
  refusal(integers, 1);
}

}  // namespace
}  // namespace weft::testing
