// load_weight: how parts become a weight.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "tests/conformance/device/bench.h"
#include "tests/conformance/device/groups.h"

namespace weft::conformance {
namespace {

std::vector<DType> part_types() { return {DType::f32, DType::f16, DType::bf16}; }

Matrix multiplied(const Bench& bench, const Weight& weight, const Matrix& in) {
  const Tensor from(bench, DType::f32, in);
  const Tensor out = Tensor::zeros(bench, DType::f32, in.rows, weight.rows());
  bench.ok(bench->linear({.weight = &weight, .in = from.view(), .out = out.view()}, bench.stream()), "linear");
  return out.values();
}

void says_its_size(Context& context) {
  const Bench bench(context);
  for (const auto use : {WeightUse::linear, WeightUse::embedding, WeightUse::vector, WeightUse::table}) {
    const std::int64_t rows = use == WeightUse::vector ? 1 : 37;
    const auto weight = bench.weight(use, DType::f32, DType::f32, bench.random(DType::f32, rows, 30));
    context.expect(weight->rows() == rows && weight->columns() == 30,
                   fmt::format("a weight of [{}, 30] says [{}, {}]", rows, weight->rows(), weight->columns()));
    const Bytes least = static_cast<Bytes>(rows) * 30 * 4;
    context.expect(weight->bytes() >= least && weight->bytes() <= 4 * least + 65536,
                   fmt::format("a weight of {} bytes of f32 says {}", least, weight->bytes()));
  }
}

void parts_stand_below_each_other(Context& context) {
  const Bench bench(context);
  for (const std::int64_t columns : {1, 17, 64, 129}) {
    const Matrix whole = bench.random(DType::f32, 53, columns);
    const auto data = encode(DType::f32, whole.values);
    std::vector<WeightPart> parts;
    std::int64_t first = 0;
    for (const std::int64_t rows : {1, 16, 5, 31}) {
      parts.push_back({.data = data.data() + first * columns * 4, .rows = rows, .columns = columns});
      first += rows;
    }
    const auto weight = bench.load(parts, {.name = "qkv"});
    context.expect(weight->rows() == 53 && weight->columns() == columns, "rows of the parts do not add up");
    const Matrix in = bench.random(DType::f32, 3, columns);
    expect_close(bench, multiplied(bench, *weight, in), DType::f32, right_linear(in, whole, {}, nullptr),
                 fmt::format("four parts of {} columns", columns));
  }
}

void a_part_of_the_columns(Context& context) {
  const Bench bench(context);
  for (const DType type : part_types()) {
    const Matrix whole = bench.random(type, 40, 96);
    const auto data = encode(type, whole.values);
    Matrix part(40, 33);
    for (std::int64_t row = 0; row < 40; ++row)
      for (std::int64_t column = 0; column < 33; ++column)
        part.at(row, column) = whole.at(row, column + 41);
    const WeightPart shard{
        .data = data.data() + 41 * size_of(type), .type = type, .rows = 40, .columns = 33, .row_stride = 96};
    const auto weight = bench.load({&shard, 1}, {.name = "down"});
    const Matrix in = bench.random(DType::f32, 2, 33);
    expect_close(bench, multiplied(bench, *weight, in), DType::f32, right_linear(in, part, {}, nullptr),
                 "33 of 96 columns");
  }
}

void any_type_at_any_address(Context& context) {
  const Bench bench(context);
  for (const DType type : part_types()) {
    const Matrix values = bench.random(type, 21, 19);
    const auto data = encode(type, values.values);
    for (const std::size_t shift : {1U, 3U}) {
      std::vector<std::byte> moved(data.size() + shift);
      std::copy(data.begin(), data.end(), moved.begin() + static_cast<std::ptrdiff_t>(shift));
      const WeightPart part{.data = moved.data() + shift, .type = type, .rows = 21, .columns = 19};
      const auto weight = bench.load({&part, 1}, {.name = "w"});
      const Matrix in = bench.random(DType::f32, 2, 19);
      expect_close(bench, multiplied(bench, *weight, in), DType::f32, right_linear(in, values, {}, nullptr),
                   fmt::format("a part of {} at an odd address", to_string(type)));
    }
  }
}

void parts_of_several_types(Context& context) {
  const Bench bench(context);
  Matrix whole(0, 24);
  std::vector<std::vector<std::byte>> data;
  std::vector<WeightPart> parts;
  for (const DType type : part_types()) {
    const Matrix values = bench.random(type, 9, 24);
    data.push_back(encode(type, values.values));
    whole.values.insert(whole.values.end(), values.values.begin(), values.values.end());
    whole.rows += 9;
    parts.push_back({.data = data.back().data(), .type = type, .rows = 9, .columns = 24});
  }
  const auto weight = bench.load(parts, {.name = "w"});
  const Matrix in = bench.random(DType::f32, 4, 24);
  expect_close(bench, multiplied(bench, *weight, in), DType::f32, right_linear(in, whole, {}, nullptr),
               "parts of f32, f16 and bf16");
}

void parts_have_their_bias(Context& context) {
  const Bench bench(context);
  for (const DType type : part_types()) {
    const Matrix whole = bench.random(type, 30, 12), bias = bench.random(type, 1, 30, -3, 3);
    const auto data = encode(type, whole.values), bias_data = encode(type, bias.values);
    const auto part = [&](std::int64_t first, std::int64_t rows) {
      const auto size = static_cast<std::int64_t>(size_of(type));
      return WeightPart{.data = data.data() + first * 12 * size,
                        .type = type,
                        .rows = rows,
                        .columns = 12,
                        .bias = bias_data.data() + first * size};
    };
    const WeightPart parts[] = {part(0, 7), part(7, 1), part(8, 22)};
    const auto weight = bench.load(parts, {.name = "qkv"});
    const Matrix in = bench.random(DType::f32, 3, 12);
    expect_close(bench, multiplied(bench, *weight, in), DType::f32, right_linear(in, whole, bias.values, nullptr),
                 "parts with biases");
  }
}

void keeps_nothing_of_the_parts(Context& context) {
  const Bench bench(context);
  const Matrix values = bench.random(DType::f32, 33, 20), bias = bench.random(DType::f32, 1, 33);
  const Matrix rows = bench.random(DType::f32, 1, 20);
  const Matrix in = bench.random(DType::f32, 2, 20);
  auto data = encode(DType::f32, values.values), bias_data = encode(DType::f32, bias.values),
       row = encode(DType::f32, rows.values);
  const WeightPart part{.data = data.data(), .rows = 33, .columns = 20, .bias = bias_data.data()};
  const WeightPart table_part{.data = data.data(), .rows = 33, .columns = 20},
      row_part{.data = row.data(), .rows = 1, .columns = 20};
  const auto linear = bench.load({&part, 1}, {.name = "w"});
  const auto embedding = bench.load({&table_part, 1}, {.name = "e", .use = WeightUse::embedding});
  const auto vector = bench.load({&row_part, 1}, {.name = "n", .use = WeightUse::vector});
  for (auto* bytes : {&data, &bias_data, &row})
    std::fill(bytes->begin(), bytes->end(), std::byte{0x7e});
  expect_close(bench, multiplied(bench, *linear, in), DType::f32, right_linear(in, values, bias.values, nullptr),
               "linear, its parts overwritten");
  const Indices ids(bench, {32, 0});
  const Tensor out = Tensor::zeros(bench, DType::f32, 2, 20), from(bench, DType::f32, in);
  bench.ok(bench->embed({.table = embedding.get(), .ids = ids.buffer(), .out = out.view()}, bench.stream()), "embed");
  expect_close(bench, out, right_embed(values, {32, 0}, 0, 1), "embedding, its parts overwritten");
  bench.ok(bench->rms_norm({.weight = vector.get(), .in = from.view(), .out = out.view()}, bench.stream()), "rms_norm");
  expect_close(bench, out, right_norm(in, rows, double{NormArgs{}.epsilon}, 0), "vector, its parts overwritten");
}

void vectors_stay_f32(Context& context) {
  const Bench bench(context);
  for (const DType compute : bench.types()) {
    const Matrix values = bench.random(DType::f32, 1, 31), in = bench.random(DType::f32, 2, 31);
    const auto weight = bench.weight(WeightUse::vector, DType::f32, compute, values);
    const Tensor from(bench, DType::f32, in), out = Tensor::zeros(bench, DType::f32, 2, 31);
    bench.ok(bench->rms_norm({.weight = weight.get(), .in = from.view(), .out = out.view()}, bench.stream()),
             "rms_norm");
    expect_close(bench, out, right_norm(in, values, double{NormArgs{}.epsilon}, 0),
                 fmt::format("a vector loaded to compute in {}", to_string(compute)));
  }
}

void refused(const Bench& bench, const std::vector<WeightPart>& parts, const WeightSpec& spec, std::string_view what) {
  bench.context().expect_error(bench->load_weight(parts, spec), ErrorCode::invalid_argument, what);
}

void refuses_wrong_parts(Context& context) {
  const Bench bench(context);
  const float data[8] = {};
  const WeightPart good{.data = data, .rows = 2, .columns = 2};
  const WeightSpec linear{.name = "w"};
  const auto with = [&](auto&& spoil) {
    WeightPart part = good;
    spoil(part);
    return part;
  };
  refused(bench, {}, linear, "no parts");
  refused(bench, {with([](WeightPart& p) { p.data = nullptr; })}, linear, "no data");
  refused(bench, {with([](WeightPart& p) { p.rows = 0; })}, linear, "no rows");
  refused(bench, {with([](WeightPart& p) { p.columns = -2; })}, linear, "negative columns");
  refused(bench, {with([](WeightPart& p) { p.row_stride = 1; })}, linear, "a stride below the columns");
  refused(bench, {with([](WeightPart& p) { p.type = DType::i32; })}, linear, "integers");
  refused(bench, {good, with([](WeightPart& p) { p.columns = 3; })}, linear, "parts of 2 and 3 columns");
  refused(bench, {good, with([&](WeightPart& p) { p.bias = data; })}, linear, "a bias for one of two parts");
  refused(bench, {good}, {.name = "w", .use = WeightUse::vector}, "a vector of two rows");
  refused(bench, {good}, {.name = "w", .compute = DType::u8}, "to compute in u8");
  refused(bench, {with([&](WeightPart& p) { p.bias = data; })}, {.name = "w", .use = WeightUse::embedding},
          "an embedding with a bias");
  const auto huge =
      bench->load_weight(std::vector{with([](WeightPart& p) { p.rows = p.columns = std::int64_t{1} << 40; })}, linear);
  context.expect(
      !huge && (huge.error().code == ErrorCode::invalid_argument || huge.error().code == ErrorCode::resource_exhausted),
      "a weight of 2^80 elements");
  bench.load({&good, 1}, linear);
}

void refuses_what_it_lacks(Context& context) {
  const Bench bench(context);
  const Matrix values = bench.random(DType::f32, 9, 12), in = bench.random(DType::f32, 2, 12);
  const auto before = bench.weight(WeightUse::linear, DType::f32, DType::f32, values);
  const Matrix right = multiplied(bench, *before, in);
  const auto data = encode(DType::f32, values.values);
  const WeightPart part{.data = data.data(), .rows = 9, .columns = 12};
  // `may_be_wrong`: not a word of the capabilities, so that it may be taken for a mistake of the caller.
  const auto lacked = [&](const WeightSpec& spec, bool may_be_wrong, std::string_view what) {
    const auto loaded = bench->load_weight({&part, 1}, spec);
    context.expect(!loaded, fmt::format("{} was taken", what));
    const ErrorCode code = loaded.error().code;
    context.expect(code == ErrorCode::unimplemented || (may_be_wrong && code == ErrorCode::invalid_argument),
                   fmt::format("{}: {}, expected unimplemented", what, to_string(loaded.error())));
    context.expect(!loaded.error().message.empty(), fmt::format("{}: no message", what));
    context.expect(multiplied(bench, *before, in).values == right.values,
                   fmt::format("{} was refused, and a weight that was there gives other results", what));
  };
  lacked({.name = "w", .quantization = "no_such_scheme"}, true, "quantization 'no_such_scheme'");
  lacked({.name = "w", .quantization = ""}, true, "quantization ''");
  for (const char* name : {"int8", "int4"})
    if (!context.declares(name))
      lacked({.name = "w", .quantization = name}, false, fmt::format("quantization '{}'", name));
  for (const DType type : {DType::f16, DType::bf16})
    if (!context.declares(to_string(type)))
      lacked({.name = "w", .compute = type}, false, fmt::format("to compute in {}", to_string(type)));
}

constexpr Case weight_rules[] = {
    {.id = "DV-10",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title =
         "a weight says its rows and columns, and bytes() between one and four times what its f32 take, and 64 KiB",
     .rationale = "`weft check` adds up what a rank needs.",
     .body = says_its_size},
    {.id = "DV-11",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "the rows of several parts stand one below the other, in the order given, whatever their number",
     .rationale = "q, k and v, or gate and up, are read together.",
     .body = parts_stand_below_each_other},
    {.id = "DV-12",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a part's row_stride is kept: a shard of the columns of a larger matrix is read where it lies",
     .rationale = "Row-parallel layers read a part of each row of the file.",
     .body = a_part_of_the_columns},
    {.id = "DV-13",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "parts of f32, f16 and bf16 are read at any address, aligned or not, whatever the device computes in",
     .rationale = "safetensors aligns nothing.",
     .body = any_type_at_any_address},
    {.id = "DV-14",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "the parts of one weight may be of different types, and lose nothing at compute f32",
     .rationale = "Checkpoints mix them.",
     .body = parts_of_several_types},
    {.id = "DV-15",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "each part's bias belongs to its rows",
     .rationale = "Qwen's q, k and v have biases of their own.",
     .body = parts_have_their_bias},
    {.id = "DV-16",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "nothing is kept of the parts: their memory may be overwritten as soon as load_weight has returned",
     .rationale = "The file is unmapped after loading.",
     .body = keeps_nothing_of_the_parts},
    {.id = "DV-17",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "vectors are kept in f32 whatever type they are loaded to compute in",
     .rationale = "Norm weights are few and count much.",
     .body = vectors_stay_f32},
    {.id = "DV-18",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "wrong parts are invalid_argument: none, no data, no rows, unequal columns, a stride below the columns, "
              "integers, half a bias, a vector of two rows",
     .rationale = "A checkpoint is hostile.",
     .body = refuses_wrong_parts},
    {.id = "DV-19",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a quantization and a compute type that the device does not declare are unimplemented and touch nothing; "
              "a quantization that nobody knows may be invalid_argument",
     .rationale = "What a plugin cannot do it says.",
     .body = refuses_what_it_lacks},
};

}  // namespace

std::span<const Case> device_weight_cases() { return weight_rules; }

}  // namespace weft::conformance
