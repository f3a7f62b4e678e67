// What is refused, and that a refusal has written nothing.
#include <fmt/format.h>

#include <limits>

#include "tests/conformance/device/groups.h"
#include "tests/conformance/device/layer.h"

namespace weft::conformance {
namespace {

// Right arguments of every operation on rows; each refusal spoils one thing of them.
struct RowOperations {
  explicit RowOperations(const Bench& on)
      : bench(on),
        embedding(bench.weight(WeightUse::embedding, DType::f32, DType::f32, Matrix(4, 6, 1))),
        linear(bench.weight(WeightUse::linear, DType::f32, DType::f32, Matrix(6, 6, 1))),
        odd(bench.weight(WeightUse::linear, DType::f32, DType::f32, Matrix(5, 6, 1))),
        vector(bench.vector(Matrix(1, 6, 1))),
        in(bench, DType::f32, Matrix(3, 6, 2), 2),
        residual(bench, DType::f32, Matrix(3, 6, 2), 1),
        out(bench, DType::f32, Matrix(3, 6, 2), 3),
        ids(bench, {0, 1, 2}) {}

  EmbedArgs embed() const { return {.table = embedding.get(), .ids = ids.buffer(), .out = out.view()}; }
  NormArgs norm() const {
    return {.weight = vector.get(), .in = in.view(), .residual = residual.view(), .out = out.view()};
  }
  LinearArgs multiply() const { return {.weight = linear.get(), .in = in.view(), .out = out.view()}; }

  void refused(const Status& status, std::string_view what) const {
    bench.context().expect_error(status, ErrorCode::invalid_argument, what);
    bench.context().expect(in.unchanged() && residual.unchanged() && out.unchanged() &&
                               ids.values() == std::vector{0, 1, 2} && ids.outside_intact(),
                           fmt::format("{}: it was refused, and something was written", what));
  }
  template <class Spoil>
  void no_embed(std::string_view what, Spoil&& spoil) const {
    EmbedArgs args = embed();
    spoil(args);
    refused(bench->embed(args, bench.stream()), fmt::format("embed: {}", what));
  }
  template <class Spoil>
  void no_norm(std::string_view what, Spoil&& spoil) const {
    NormArgs args = norm();
    spoil(args);
    refused(bench->rms_norm(args, bench.stream()), fmt::format("rms_norm: {}", what));
  }
  template <class Spoil>
  void no_linear(std::string_view what, Spoil&& spoil) const {
    LinearArgs args = multiply();
    spoil(args);
    refused(bench->linear(args, bench.stream()), fmt::format("linear: {}", what));
  }

  const Bench& bench;
  std::unique_ptr<Weight> embedding, linear, odd, vector;
  Tensor in, residual, out;
  Indices ids;
};

void refuses_wrong_shapes(Context& context) {
  const Bench bench(context);
  const RowOperations with(bench);
  with.no_embed("out too narrow", [](EmbedArgs& a) { a.out.columns = 5; });
  with.no_embed("out beyond its buffer", [](EmbedArgs& a) { a.out.buffer.size -= 1; });
  with.no_embed("too few ids", [](EmbedArgs& a) { a.ids.size = 8; });
  with.no_embed("negative rows", [](EmbedArgs& a) { a.out.rows = -1; });
  with.no_norm("in too narrow", [](NormArgs& a) { a.in.columns = 5; });
  with.no_norm("out of fewer rows", [](NormArgs& a) { a.out.rows = 2; });
  with.no_norm("residual of fewer rows", [](NormArgs& a) { a.residual.rows = 2; });
  with.no_norm("rows beyond the buffers", [](NormArgs& a) { a.in.rows = a.out.rows = a.residual.rows = 4; });
  with.no_linear("in too wide", [](LinearArgs& a) { a.in.columns = 7; });
  with.no_linear("out too narrow", [](LinearArgs& a) { a.out.columns = 5; });
  with.no_linear("out of more rows", [](LinearArgs& a) { a.out.rows = 4; });
  with.no_linear("out of full width for a gate", [](LinearArgs& a) { a.epilogue = LinearArgs::Epilogue::gate; });
  with.no_linear("an odd weight for a gate", [&](LinearArgs& a) {
    a.weight = with.odd.get();
    a.epilogue = LinearArgs::Epilogue::gate;
    a.out.columns = 2;
  });
}

void refuses_wrong_strides(Context& context) {
  const Bench bench(context);
  const RowOperations with(bench);
  for (const std::int64_t stride : {std::int64_t{-6}, std::int64_t{5}, std::int64_t{1} << 40, std::int64_t{1} << 62,
                                    std::numeric_limits<std::int64_t>::max()}) {
    with.no_embed(fmt::format("out's row stride {}", stride), [&](EmbedArgs& a) { a.out.row_stride = stride; });
    with.no_norm(fmt::format("in's row stride {}", stride), [&](NormArgs& a) { a.in.row_stride = stride; });
    with.no_norm(fmt::format("residual's row stride {}", stride), [&](NormArgs& a) { a.residual.row_stride = stride; });
    with.no_linear(fmt::format("out's row stride {}", stride), [&](LinearArgs& a) { a.out.row_stride = stride; });
  }
}

void refuses_wrong_types(Context& context) {
  const Bench bench(context);
  const RowOperations with(bench);
  for (const DType type : {DType::i32, DType::i64, DType::u8}) {
    with.no_embed("out of integers", [&](EmbedArgs& a) { a.out.type = type; });
    with.no_norm("in of integers", [&](NormArgs& a) { a.in.type = type; });
    with.no_linear("in of integers", [&](LinearArgs& a) { a.in.type = type; });
  }
  with.no_norm("a negative epsilon", [](NormArgs& a) { a.epsilon = -1; });
  with.no_norm("an epsilon that is NaN", [](NormArgs& a) { a.epsilon = std::numeric_limits<float>::quiet_NaN(); });
}

void refuses_wrong_weights(Context& context) {
  const Bench bench(context);
  const RowOperations with(bench);
  with.no_embed("no table", [](EmbedArgs& a) { a.table = nullptr; });
  with.no_embed("a linear weight for a table", [&](EmbedArgs& a) { a.table = with.linear.get(); });
  with.no_norm("no weight", [](NormArgs& a) { a.weight = nullptr; });
  with.no_norm("a linear weight", [&](NormArgs& a) { a.weight = with.linear.get(); });
  with.no_linear("no weight", [](LinearArgs& a) { a.weight = nullptr; });
  with.no_linear("an embedding", [&](LinearArgs& a) { a.weight = with.embedding.get(); });
  with.no_linear("a vector", [&](LinearArgs& a) { a.weight = with.vector.get(); });
}

void refuses_wrong_picks(Context& context) {
  const Bench bench(context);
  const RowOperations with(bench);
  const Stream stream = bench.stream();
  TensorView wide = with.out.view();
  wide.columns = 7;
  with.refused(bench->gather_rows(with.in.view(), with.ids.buffer(), wide, stream), "gather_rows: other columns");
  TensorView half = with.out.view();
  half.type = DType::bf16;
  with.refused(bench->gather_rows(with.in.view(), with.ids.buffer(), half, stream), "gather_rows: another type");
  with.refused(bench->gather_rows(with.in.view(), with.ids.buffer().slice(0, 8), with.out.view(), stream),
               "gather_rows: too few rows named");
  with.refused(bench->argmax(with.in.view(), with.ids.buffer().slice(0, 8), {}, stream),
               "argmax: room for two ids of three");
  with.refused(bench->argmax(with.in.view(), with.ids.buffer(), with.residual.view().buffer.slice(0, 8), stream),
               "argmax: room for two values of three");
  TensorView none = with.in.view();
  none.columns = 0;
  with.refused(bench->argmax(none, with.ids.buffer(), {}, stream), "argmax of no columns");
  if (bench->info().memory == MemoryKind::device) return;
  for (const std::int32_t row : {-1, 3, std::numeric_limits<std::int32_t>::max()}) {
    const Indices rows(bench, {0, row, 2});
    with.refused(bench->gather_rows(with.in.view(), rows.buffer(), with.out.view(), stream),
                 fmt::format("gather_rows: row {} of 3", row));
  }
}

struct SequenceOperations {
  explicit SequenceOperations(const Bench& on)
      : bench(on),
        layer(bench, {.query_heads = 2,
                      .kv_heads = 1,
                      .head_dim = 4,
                      .rotary_dim = 4,
                      .head_norms = true,
                      .block_size = 2,
                      .longest = 8,
                      .layers = 2}),
        step(layer.buffers({3})),
        qkv(bench, DType::f32, Matrix(3, 16, 1), 1),
        out(bench, DType::f32, Matrix(3, 8, 1), 1) {}

  template <class Spoil>
  void no_rope(std::string_view what, Spoil&& spoil) const {
    RopeArgs args = layer.rope(qkv, step.batch);
    spoil(args);
    refused(bench->rope_and_append(args, bench.stream()), fmt::format("rope_and_append: {}", what));
  }
  template <class Spoil>
  void no_attention(std::string_view what, Spoil&& spoil) const {
    AttentionArgs args = layer.attention(qkv, out, step.batch);
    spoil(args);
    refused(bench->attention(args, bench.stream()), fmt::format("attention: {}", what));
  }
  void refused(const Status& status, std::string_view what) const {
    bench.context().expect_error(status, ErrorCode::invalid_argument, what);
    bench.context().expect(qkv.unchanged() && out.unchanged(),
                           fmt::format("{}: it was refused, and something was written", what));
  }

  const Bench& bench;
  Layer layer;
  StepBuffers step;
  Tensor qkv, out;
};

void refuses_wrong_sequences(Context& context) {
  const Bench bench(context);
  const SequenceOperations with(bench);
  constexpr std::int32_t huge = std::numeric_limits<std::int32_t>::max();
  with.no_rope("no cache", [](RopeArgs& a) { a.cache = nullptr; });
  with.no_rope("layer 2 of 2", [](RopeArgs& a) { a.layer = 2; });
  with.no_rope("layer -1", [](RopeArgs& a) { a.layer = -1; });
  with.no_rope("three query heads", [](RopeArgs& a) { a.query_heads = 3; });
  with.no_rope("no KV heads", [](RopeArgs& a) { a.kv_heads = 0; });
  with.no_rope("huge heads", [](RopeArgs& a) { a.query_heads = a.kv_heads = a.head_dim = huge; });
  with.no_rope("heads that are not the cache's",
               [](RopeArgs& a) { a.query_heads = 6, a.head_dim = 2, a.rotary_dim = 2; });
  with.no_rope("an odd rotary_dim", [](RopeArgs& a) { a.rotary_dim = 3; });
  with.no_rope("a rotary_dim beyond the head", [](RopeArgs& a) { a.rotary_dim = 8; });
  with.no_rope("a norm for a table", [](RopeArgs& a) { a.table = a.query_norm; });
  with.no_rope("a table for a norm", [](RopeArgs& a) { a.key_norm = a.table; });
  with.no_rope("more tokens than rows", [](RopeArgs& a) { a.batch.tokens = 4; });
  with.no_rope("negative tokens", [](RopeArgs& a) { a.batch.tokens = -1; });
  with.no_rope("too few slots", [](RopeArgs& a) { a.batch.slots.size = 8; });
  with.no_attention("no cache", [](AttentionArgs& a) { a.cache = nullptr; });
  with.no_attention("layer 2 of 2", [](AttentionArgs& a) { a.layer = 2; });
  with.no_attention("out too narrow", [](AttentionArgs& a) { a.out.columns = 4; });
  with.no_attention("qkv too narrow", [](AttentionArgs& a) { a.qkv.columns = 8; });
  with.no_attention("a negative window", [](AttentionArgs& a) { a.window = -1; });
  with.no_attention("a negative soft cap", [](AttentionArgs& a) { a.soft_cap = -1; });
  with.no_attention("a scale that is no number",
                    [](AttentionArgs& a) { a.scale = std::numeric_limits<float>::quiet_NaN(); });
  with.no_attention("rows of no sequence", [](AttentionArgs& a) { a.batch.sequences = 0; });
  with.no_attention("more sequences than there are", [](AttentionArgs& a) { a.batch.sequences = huge; });
  with.no_attention("wider block tables than there are", [](AttentionArgs& a) { a.batch.max_blocks = huge; });
  with.no_attention("no row_starts", [](AttentionArgs& a) { a.batch.row_starts = {}; });
}

void refuses_wrong_indices(Context& context) {
  const Bench bench(context);
  if (bench->info().memory == MemoryKind::device)
    context.skip("indices lie in the device's memory, where they may go unchecked");
  const SequenceOperations with(bench);
  constexpr std::int32_t huge = std::numeric_limits<std::int32_t>::max();
  for (const std::int32_t value : {-1, 12, huge}) {
    const Indices slots(bench, {0, value, 1});
    with.no_rope(fmt::format("slot {} of 12", value), [&](RopeArgs& a) { a.batch.slots = slots.buffer(); });
  }
  for (const std::int32_t value : {-1, 8, huge}) {
    const Indices positions(bench, {0, value, 1});
    with.no_rope(fmt::format("position {} of a table of 8", value),
                 [&](RopeArgs& a) { a.batch.positions = positions.buffer(); });
    with.no_attention(fmt::format("position {} of a context of 3", value),
                      [&](AttentionArgs& a) { a.batch.positions = positions.buffer(); });
    const Indices lengths(bench, {value == 8 ? 9 : value});
    with.no_attention(fmt::format("a context of {}", value),
                      [&](AttentionArgs& a) { a.batch.context_lengths = lengths.buffer(); });
  }
  for (const std::int32_t value : {-1, 6, huge}) {
    const Indices tables(bench, {0, value, -1, -1});
    with.no_attention(fmt::format("block {} of 6", value),
                      [&](AttentionArgs& a) { a.batch.block_tables = tables.buffer(); });
  }
  for (const auto& starts : {std::vector{0, 2}, {1, 3}, {0, 4}, {-1, 3}, {0, huge}}) {
    const Indices given(bench, starts);
    with.no_attention(fmt::format("row_starts {} to {}", starts[0], starts[1]),
                      [&](AttentionArgs& a) { a.batch.row_starts = given.buffer(); });
  }
}

constexpr const char* hostile =
    "A wrong shape is a bug above; it must be found where it is, not in another tensor's memory.";

constexpr Case refusal_rules[] = {
    {.id = "DV-60",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "embed, rms_norm and linear refuse shapes that do not fit with invalid_argument and write nothing",
     .rationale = hostile,
     .body = refuses_wrong_shapes},
    {.id = "DV-61",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "row strides below the columns, beyond the buffer or that overflow are invalid_argument, and nothing is "
              "written",
     .rationale = hostile,
     .body = refuses_wrong_strides},
    {.id = "DV-62",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "activations of integers, and an epsilon that is negative or NaN, are invalid_argument, and nothing is "
              "written",
     .rationale = hostile,
     .body = refuses_wrong_types},
    {.id = "DV-63",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "no weight, or one loaded for another use, is invalid_argument, and nothing is written",
     .rationale = "A packed weight read as another is nonsense without an error.",
     .body = refuses_wrong_weights},
    {.id = "DV-64",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "gather_rows and argmax refuse other widths and types and outputs that are too small; in host memory "
              "rows out of range too; nothing is written",
     .rationale = hostile,
     .body = refuses_wrong_picks},
    {.id = "DV-65",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "rope_and_append and attention refuse heads, layers, caches, tables, windows and batches that do not "
              "fit, and write nothing",
     .rationale = hostile,
     .body = refuses_wrong_sequences},
    {.id = "DV-66",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "in host memory slots, positions, contexts, blocks and row starts out of range are invalid_argument, and "
              "nothing is written",
     .rationale = "They cost little to check there; on an accelerator they may go unchecked.",
     .body = refuses_wrong_indices},
};

}  // namespace

std::span<const Case> device_refusal_cases() { return refusal_rules; }

}  // namespace weft::conformance
