// Operations on rows: embed, rms_norm, linear, gather_rows, argmax.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "tests/conformance/device/bench.h"
#include "tests/conformance/device/groups.h"

namespace weft::conformance {
namespace {

constexpr double epsilon = double{1e-5f};

void embeds(Context& context) {
  const Bench bench(context);
  const std::vector<std::int32_t> ids{100,
                                      139,
                                      120,
                                      120,
                                      99,
                                      140,
                                      0,
                                      -1,
                                      std::numeric_limits<std::int32_t>::max(),
                                      std::numeric_limits<std::int32_t>::min(),
                                      101};
  for (const DType type : bench.types())
    for (const std::int64_t width : {1, 17, 64, 131})
      for (const float scale : {1.0f, 11.25f}) {
        const Matrix values = bench.random(type, 40, width);
        const auto table = bench.weight(WeightUse::embedding, type, type, values);
        const Indices rows(bench, ids);
        const Tensor out(bench, type, Matrix(static_cast<std::int64_t>(ids.size()), width, 5), 3);
        bench.ok(bench->embed(
                     {.table = table.get(), .ids = rows.buffer(), .first_row = 100, .scale = scale, .out = out.view()},
                     bench.stream()),
                 "embed");
        expect_close(bench, out, right_embed(values, ids, 100, double{scale}), fmt::format("embed of width {}", width));
      }
}

void norms(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const std::int64_t width : {1, 7, 64, 257})
      for (const float offset : {0.0f, 1.0f}) {
        const Matrix values = bench.random(DType::f32, 1, width, 0.5, 1.5), in = bench.random(type, 5, width, -3, 3);
        const auto weight = bench.vector(values);
        const Tensor from(bench, type, in, 5), out = Tensor::zeros(bench, type, 5, width, 2);
        bench.ok(bench->rms_norm({.weight = weight.get(),
                                  .epsilon = 1e-3f,
                                  .weight_offset = offset,
                                  .in = from.view(),
                                  .out = out.view()},
                                 bench.stream()),
                 "rms_norm");
        expect_close(bench, out, right_norm(in, values, double{1e-3f}, double{offset}),
                     fmt::format("rms_norm of width {}, offset {}", width, offset));
      }
}

// What is normed is the residual as stored; so it is read back first.
void norms_with_residual(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const bool in_place : {false, true}) {
      constexpr std::int64_t rows = 9, width = 130;
      const Matrix values = bench.random(DType::f32, 1, width, 0.5, 1.5), in = bench.random(type, rows, width, -3, 3),
                   before = bench.random(type, rows, width, -30, 30);
      const auto weight = bench.vector(values);
      const Tensor from(bench, type, in, 5), residual(bench, type, before, 1),
          out = Tensor::zeros(bench, type, rows, width, 5);
      const Tensor& to = in_place ? from : out;
      bench.ok(
          bench->rms_norm({.weight = weight.get(), .in = from.view(), .residual = residual.view(), .out = to.view()},
                          bench.stream()),
          "rms_norm");
      Expected sum(rows, width);
      for (std::size_t i = 0; i < in.values.size(); ++i)
        sum.value.values[i] = in.values[i] + before.values[i];
      expect_close(bench, residual, sum, "the residual");
      expect_close(bench, to, right_norm(residual.values(), values, epsilon, 0),
                   in_place ? "rms_norm in place" : "rms_norm with a residual");
    }
}

void norms_in_place(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types()) {
    const Matrix values = bench.random(DType::f32, 1, 65, 0.5, 1.5), in = bench.random(type, 6, 65);
    const auto weight = bench.vector(values);
    const Tensor both(bench, type, in, 3);
    bench.ok(bench->rms_norm({.weight = weight.get(), .in = both.view(), .out = both.view()}, bench.stream()),
             "rms_norm");
    expect_close(bench, both, right_norm(in, values, epsilon, 0), "out is in");
  }
}

struct LinearShape {
  std::int64_t rows, columns, outputs;
};
constexpr LinearShape linear_shapes[] = {{1, 1, 1}, {1, 64, 48}, {2, 96, 34}, {3, 17, 31}, {7, 200, 2}, {33, 80, 66}};

void multiplies(const Bench& bench, bool bias, LinearArgs::Epilogue epilogue) {
  for (const DType type : bench.types())
    for (const auto& [rows, columns, outputs] : linear_shapes) {
      const Matrix values = bench.random(type, outputs, columns), in = bench.random(type, rows, columns),
                   biases = bench.random(type, 1, outputs, -4, 4), before = bench.random(type, rows, outputs, -5, 5);
      const std::vector<double> given = bias ? biases.values : std::vector<double>();
      const auto weight = bench.weight(WeightUse::linear, type, type, values, given);
      const Tensor from(bench, type, in, 3), out(bench, type, before, 5);
      bench.ok(bench->linear({.weight = weight.get(), .in = from.view(), .out = out.view(), .epilogue = epilogue},
                             bench.stream()),
               "linear");
      const bool add = epilogue == LinearArgs::Epilogue::add;
      expect_close(bench, out, right_linear(in, values, given, add ? &before : nullptr),
                   fmt::format("linear, [{}, {}] to {} columns", rows, columns, outputs));
    }
}

void stores(Context& context) { multiplies(Bench(context), false, LinearArgs::Epilogue::store); }
void stores_with_bias(Context& context) { multiplies(Bench(context), true, LinearArgs::Epilogue::store); }
void adds(Context& context) {
  const Bench bench(context);
  multiplies(bench, false, LinearArgs::Epilogue::add);
  multiplies(bench, true, LinearArgs::Epilogue::add);
}

void gates(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const auto activation : {Activation::silu, Activation::gelu_tanh, Activation::gelu})
      for (const auto& [rows, columns, outputs] : linear_shapes) {
        if (outputs % 2 != 0) continue;
        for (const bool bias : {false, true}) {
          const Matrix values = bench.random(type, outputs, columns), in = bench.random(type, rows, columns),
                       biases = bench.random(type, 1, outputs);
          const std::vector<double> given = bias ? biases.values : std::vector<double>();
          const auto weight = bench.weight(WeightUse::linear, type, type, values, given);
          const Tensor from(bench, type, in), out = Tensor::zeros(bench, type, rows, outputs / 2, 3);
          bench.ok(bench->linear({.weight = weight.get(),
                                  .in = from.view(),
                                  .out = out.view(),
                                  .epilogue = LinearArgs::Epilogue::gate,
                                  .activation = activation},
                                 bench.stream()),
                   "linear");
          expect_close(bench, out, right_gate(in, values, given, activation),
                       fmt::format("gate with activation {}", static_cast<int>(activation)));
        }
      }
}

void gives_logits(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types()) {
    const Matrix values = bench.random(type, 301, 64), in = bench.random(type, 4, 64);
    const auto weight = bench.weight(WeightUse::linear, type, type, values);
    const Tensor from(bench, type, in), out = Tensor::zeros(bench, DType::f32, 4, 301);
    bench.ok(bench->linear({.weight = weight.get(), .in = from.view(), .out = out.view()}, bench.stream()), "linear");
    expect_close(bench, out, right_linear(in, values, {}, nullptr), fmt::format("f32 of {}", to_string(type)));
  }
}

void gathers(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const std::int64_t width : {1, 33, 128}) {
      const Matrix in = bench.random(type, 9, width);
      const std::vector<std::int32_t> picked{8, 0, 0, 3, 8, 1};
      const Tensor from(bench, type, in, 4), out = Tensor::zeros(bench, type, 6, width, 1);
      const Indices rows(bench, picked);
      bench.ok(bench->gather_rows(from.view(), rows.buffer(), out.view(), bench.stream()), "gather_rows");
      for (std::size_t i = 0; i < picked.size(); ++i)
        context.expect(out.row_bytes(static_cast<std::int64_t>(i)) == from.row_bytes(picked[i]),
                       fmt::format("row {} is not row {} of what was gathered from", i, picked[i]));
    }
}

void expect_argmax(const Bench& bench, const Matrix& logits, const std::vector<std::int32_t>& wanted,
                   std::string_view what) {
  const Tensor from(bench, DType::f32, logits, 2);
  const Indices ids(bench, std::vector<std::int32_t>(wanted.size(), -7));
  const Tensor values = Tensor::zeros(bench, DType::f32, 1, logits.rows);
  bench.ok(bench->argmax(from.view(), ids.buffer(), values.view().buffer, bench.stream()), "argmax");
  const auto found = ids.values();
  const Matrix largest = values.values();
  for (std::size_t row = 0; row < wanted.size(); ++row) {
    bench.context().expect(found[row] == wanted[row], fmt::format("{}: row {} of {} columns gives {}, expected {}",
                                                                  what, row, logits.columns, found[row], wanted[row]));
    const double right = logits.at(static_cast<std::int64_t>(row), wanted[row]), got = largest.values[row];
    bench.context().expect(got == right || (std::isnan(got) && std::isnan(right)),
                           fmt::format("{}: row {} has the value {}, expected {}", what, row, got, right));
  }
  const Indices alone(bench, std::vector<std::int32_t>(wanted.size(), -7));
  bench.ok(bench->argmax(from.view(), alone.buffer(), {}, bench.stream()), "argmax without values");
  bench.context().expect(alone.values() == found, fmt::format("{}: other ids where no values are asked for", what));
}

void finds_the_largest(Context& context) {
  const Bench bench(context);
  for (const std::int64_t width : {1, 2, 15, 16, 17, 1000}) {
    Matrix logits = bench.random(DType::f32, 8, width, -5, -1);
    std::vector<std::int32_t> wanted;
    for (std::int64_t row = 0; row < 8; ++row) {
      const auto first = static_cast<std::int64_t>(context.random()() % static_cast<std::uint64_t>(width));
      logits.at(row, first) = 0.5;
      for (std::int64_t after = first + 1; after < width; after += 3)  // the first of equals
        logits.at(row, after) = 0.5;
      wanted.push_back(static_cast<std::int32_t>(first));
    }
    expect_argmax(bench, logits, wanted, "the first of the largest");
  }
}

void finds_among_nan(Context& context) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinite = std::numeric_limits<double>::infinity();
  const Bench bench(context);
  for (const std::int64_t width : {3, 16, 37}) {
    Matrix logits(6, width, nan);
    const std::int64_t last = width - 1;
    logits.at(1, last) = -infinite;
    logits.at(2, 1) = -3;
    logits.at(2, last) = -1;
    logits.at(3, 0) = 1;
    logits.at(3, 2) = infinite;
    for (std::int64_t column = 0; column < width; ++column)
      logits.at(4, column) = -infinite, logits.at(5, column) = column == 0 ? nan : -infinite;
    const auto end = static_cast<std::int32_t>(last);
    expect_argmax(bench, logits, {0, end, end, 2, 0, 1}, "rows with NaN and infinities");
  }
}

void takes_no_rows(Context& context) {
  const Bench bench(context);
  const auto table = bench.weight(WeightUse::embedding, DType::f32, DType::f32, Matrix(4, 8));
  const auto linear = bench.weight(WeightUse::linear, DType::f32, DType::f32, Matrix(8, 8));
  const auto vector = bench.vector(Matrix(1, 8));
  const Tensor none = Tensor::zeros(bench, DType::f32, 0, 8), four(bench, DType::f32, Matrix(4, 8, 2));
  const Indices no_ids(bench, {});
  const Stream stream = bench.stream();
  bench.ok(bench->embed({.table = table.get(), .ids = no_ids.buffer(), .out = none.view()}, stream),
           "embed of no rows");
  bench.ok(bench->rms_norm({.weight = vector.get(), .in = none.view(), .out = none.view()}, stream),
           "rms_norm of no rows");
  bench.ok(bench->linear({.weight = linear.get(), .in = none.view(), .out = none.view()}, stream), "linear of no rows");
  bench.ok(bench->gather_rows(four.view(), no_ids.buffer(), none.view(), stream), "gather_rows of no rows");
  bench.ok(bench->argmax(none.view(), no_ids.buffer(), {}, stream), "argmax of no rows");
  const TensorView empty{.rows = 0, .columns = 8};
  bench.ok(bench->linear({.weight = linear.get(), .in = empty, .out = empty}, stream),
           "linear of no rows and no buffer");
  context.expect(four.unchanged() && none.outside_intact(), "something was written");
}

constexpr const char* row_shapes =
    "Widths 1, odd, and above a vector; rows apart; every declared type; against an f64 definition, within what f32 "
    "arithmetic and one rounding allow.";

constexpr Case row_rules[] = {
    {.id = "DV-20",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "embed looks rows up and scales them; ids outside the shard, any i32, give zeros",
     .rationale = "The shards' results are added by an all-reduce.",
     .body = embeds},
    {.id = "DV-21",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "rms_norm is in / sqrt(mean(in^2) + epsilon) times the weight and its offset",
     .rationale = row_shapes,
     .body = norms},
    {.id = "DV-22",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "rms_norm with a residual adds in to it, stores the sum in its type, and norms the sum as stored",
     .rationale = "A later layer reads the same numbers again.",
     .body = norms_with_residual},
    {.id = "DV-23",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "rms_norm's out may be its in",
     .rationale = row_shapes,
     .body = norms_in_place},
    {.id = "DV-24",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "linear stores in times the weight's transpose",
     .rationale = row_shapes,
     .body = stores},
    {.id = "DV-25",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "linear adds the weight's bias",
     .rationale = row_shapes,
     .body = stores_with_bias},
    {.id = "DV-26",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "linear with epilogue add adds the product and its bias to what out holds, rounding once",
     .rationale = row_shapes,
     .body = adds},
    {.id = "DV-27",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "linear with epilogue gate is activation(first half) times second half, for silu, gelu_tanh and gelu, "
              "biases included",
     .rationale = row_shapes,
     .body = gates},
    {.id = "DV-28",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "linear gives f32 of 16-bit operands, not rounded on the way",
     .rationale = "Logits are f32.",
     .body = gives_logits},
    {.id = "DV-29",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "gather_rows copies rows bit by bit, the same one more than once too",
     .rationale = "The last rows of a batch's sequences go to the head of the model.",
     .body = gathers},
    {.id = "DV-30",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "argmax is the first index of each row's largest value, and the value itself where values are asked for",
     .rationale = "Greedy tokens are the same on every device.",
     .body = finds_the_largest},
    {.id = "DV-31",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "to argmax NaN is never the largest, minus infinity is larger; a row of NaN alone gives 0 and NaN",
     .rationale = "A broken row must not give an index outside the vocabulary.",
     .body = finds_among_nan},
    {.id = "DV-32",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "no rows are no error and write nothing, also where there is no buffer",
     .rationale = "An idle rank steps with an empty batch.",
     .body = takes_no_rows},
};

}  // namespace

std::span<const Case> device_row_cases() { return row_rules; }

}  // namespace weft::conformance
