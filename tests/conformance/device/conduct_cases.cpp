// How results behave: nothing outside, the same again, the same alone, two devices at once.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "tests/conformance/device/groups.h"
#include "tests/conformance/device/layer.h"

namespace weft::conformance {
namespace {

// Every operation on rows, each into a tensor of its own.
struct RowWeights {
  RowWeights(const Bench& bench, DType of, std::int64_t columns)
      : type(of),
        width(columns),
        vector(bench.vector(bench.random(DType::f32, 1, width, 0.5, 1.5))),
        linear(bench.weight(WeightUse::linear, type, type, bench.random(type, 2 * width, width),
                            bench.random(type, 1, 2 * width).values)) {}

  DType type;
  std::int64_t width;
  std::unique_ptr<Weight> vector, linear;
};

struct RowResults {
  std::vector<std::unique_ptr<Tensor>> outputs;  // of rms_norm, its residual, and linear's three epilogues
  std::unique_ptr<Tensor> in;
};

RowResults run_rows(const Bench& bench, const RowWeights& weights, const Matrix& in, std::int64_t gap = 0) {
  RowResults made;
  made.in = std::make_unique<Tensor>(bench, weights.type, in, gap);
  const auto output = [&](std::int64_t columns, double value) -> const Tensor& {
    made.outputs.push_back(std::make_unique<Tensor>(bench, weights.type, Matrix(in.rows, columns, value), gap));
    return *made.outputs.back();
  };
  const Tensor& normed = output(weights.width, 0);
  const Tensor& residual = output(weights.width, 0.5);
  bench.ok(
      bench->rms_norm(
          {.weight = weights.vector.get(), .in = made.in->view(), .residual = residual.view(), .out = normed.view()},
          bench.stream()),
      "rms_norm");
  using Epilogue = LinearArgs::Epilogue;
  for (const auto epilogue : {Epilogue::store, Epilogue::add, Epilogue::gate}) {
    const Tensor& out = output(epilogue == Epilogue::gate ? weights.width : 2 * weights.width, 0.25);
    bench.ok(
        bench->linear({.weight = weights.linear.get(), .in = made.in->view(), .out = out.view(), .epilogue = epilogue},
                      bench.stream()),
        "linear");
  }
  return made;
}

void writes_only_rows(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const std::int64_t width : {1, 15, 33, 80}) {
      const RowWeights weights(bench, type, width);
      for (const std::int64_t rows : {1, 3, 10}) {
        const Matrix in = bench.random(type, rows, width);
        const RowResults made = run_rows(bench, weights, in, 3);
        for (const auto& out : made.outputs)
          context.expect(out->outside_intact(),
                         fmt::format("rms_norm or linear wrote outside rows of {} {}", width, to_string(type)));
        const Tensor to = Tensor::zeros(bench, type, rows, width, 3);
        const auto table = bench.weight(WeightUse::embedding, type, type, in);
        const Indices ids(bench, std::vector<std::int32_t>(static_cast<std::size_t>(rows), 0));
        bench.ok(bench->embed({.table = table.get(), .ids = ids.buffer(), .out = to.view()}, bench.stream()), "embed");
        context.expect(to.outside_intact(), "embed wrote outside its rows");
        bench.ok(bench->gather_rows(made.in->view(), ids.buffer(), to.view(), bench.stream()), "gather_rows");
        context.expect(to.outside_intact(), "gather_rows wrote outside its rows");
        const Tensor values = Tensor::zeros(bench, DType::f32, 1, rows), logits(bench, DType::f32, in, 3);
        bench.ok(bench->argmax(logits.view(), ids.buffer(), values.view().buffer, bench.stream()), "argmax");
        context.expect(ids.outside_intact() && values.outside_intact(), "argmax wrote outside its ids or values");
      }
    }
}

void sequences_write_only_rows(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const std::int32_t dim : {1, 17, 48}) {
      Layer layer(bench, {.query_heads = 3,
                          .kv_heads = 1,
                          .head_dim = dim,
                          .head_norms = true,
                          .sequences = 3,
                          .type = type,
                          .gap = 3});
      for (const std::vector<std::int32_t>& rows : {std::vector{1, 0, 0}, {1, 7, 2}, {5, 1, 1}})
        context.expect(layer.step(rows).outside_intact,
                       fmt::format("rope_and_append or attention wrote outside rows of heads of {}", dim));
    }
}

void leaves_inputs(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types()) {
    const RowWeights weights(bench, type, 48);
    context.expect(run_rows(bench, weights, bench.random(type, 7, 48), 2).in->unchanged(),
                   "rms_norm or linear changed its input");
    Layer layer(bench, {.type = type});
    const StepBuffers made = layer.buffers({5});
    const Tensor qkv(bench, type, bench.random(type, 5, layer.shape().width())),
        out = Tensor::zeros(bench, type, 5, layer.shape().out_width());
    bench.ok(bench->rope_and_append(layer.rope(qkv, made.batch), bench.stream()), "rope_and_append");
    const auto before = qkv.bytes();
    bench.ok(bench->attention(layer.attention(qkv, out, made.batch), bench.stream()), "attention");
    context.expect(qkv.bytes() == before, "attention changed qkv");
    context.expect(made.indices[0]->values() == made.positions, "a step changed its positions");
  }
}

void repeats_itself(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types()) {
    const RowWeights weights(bench, type, 96);
    const Matrix in = bench.random(type, 17, 96);
    const RowResults first = run_rows(bench, weights, in);
    for (int round = 0; round < 5; ++round) {
      const RowResults again = run_rows(bench, weights, in);
      for (std::size_t i = 0; i < first.outputs.size(); ++i)
        context.expect(first.outputs[i]->bytes() == again.outputs[i]->bytes(), "the same call gave other bits");
    }
    std::vector<std::byte> attended;
    for (int round = 0; round < 3; ++round) {
      Layer layer(bench, {.head_dim = 32, .type = type});
      Matrix qkv(20, layer.shape().width());
      for (std::size_t i = 0; i < qkv.values.size(); ++i)
        qkv.values[i] = rounded(type, std::sin(static_cast<double>(i)));
      const auto outcome = layer.step({20}, &qkv);
      if (round == 0) attended = outcome.out_bytes;
      context.expect(outcome.out_bytes == attended, "attention of the same gave other bits");
    }
  }
}

void gaps_change_nothing(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types()) {
    const RowWeights weights(bench, type, 50);
    const Matrix in = bench.random(type, 6, 50);
    const RowResults dense = run_rows(bench, weights, in), apart = run_rows(bench, weights, in, 7);
    for (std::size_t i = 0; i < dense.outputs.size(); ++i)
      context.expect(dense.outputs[i]->bytes() == apart.outputs[i]->bytes(),
                     "rows that lie apart gave other bits than dense ones");
  }
}

Matrix one_row(const Matrix& all, std::int64_t row) {
  Matrix made(1, all.columns);
  std::copy_n(all.values.begin() + row * all.columns, all.columns, made.values.begin());
  return made;
}

void rows_do_not_see_each_other(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types())
    for (const std::int64_t width : {31, 128}) {
      const RowWeights weights(bench, type, width);
      for (const std::int64_t rows : {2, 3, 17, 70}) {
        const Matrix in = bench.random(type, rows, width);
        const RowResults together = run_rows(bench, weights, in);
        for (const std::int64_t row : {std::int64_t{0}, rows / 2, rows - 1}) {
          const RowResults alone = run_rows(bench, weights, one_row(in, row));
          for (std::size_t i = 0; i < together.outputs.size(); ++i)
            context.expect(together.outputs[i]->row_bytes(row) == alone.outputs[i]->bytes(),
                           fmt::format("row {} of {} has other bits than alone", row, rows));
        }
      }
    }
}

// A sequence in one go alone, and in pieces among others.
void sequences_do_not_see_each_other(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types()) {
    const LayerShape shape{
        .query_heads = 4, .kv_heads = 2, .head_dim = 32, .rotary_dim = 32, .sequences = 3, .type = type};
    const Matrix qkv = bench.random(type, 20, shape.width());
    Layer alone(bench, shape), among(bench, shape);
    const auto whole = alone.step({20, 0, 0}, &qkv).out_bytes;
    std::vector<std::byte> pieces;
    std::int64_t done = 0;
    for (const std::int32_t take : {1, 6, 1, 12}) {
      Matrix in = bench.random(type, take + 4, shape.width(), -9, 9);
      std::copy_n(qkv.values.begin() + done * qkv.columns, take * qkv.columns, in.values.begin());
      const auto bytes = among.step({take, 3, 1}, &in).out_bytes;
      pieces.insert(pieces.end(), bytes.begin(),
                    bytes.begin() + take * shape.out_width() * static_cast<std::int64_t>(size_of(type)));
      done += take;
    }
    context.expect(pieces == whole, "a sequence in pieces among others has other bits than alone in one go");
  }
}

void nan_stays_in_its_row(Context& context) {
  const Bench bench(context);
  for (const DType type : bench.types()) {
    const RowWeights weights(bench, type, 48);
    Matrix in = bench.random(type, 9, 48);
    in.at(4, 7) = std::numeric_limits<double>::quiet_NaN();
    in.at(6, 7) = std::numeric_limits<double>::infinity();
    const RowResults made = run_rows(bench, weights, in);
    for (const auto& out : made.outputs) {
      const Matrix values = out->values();
      for (std::int64_t row = 0; row < 9; ++row)
        for (std::int64_t column = 0; column < values.columns && row != 4 && row != 6; ++column)
          context.expect(std::isfinite(values.at(row, column)),
                         fmt::format("NaN of row 4, or the infinity of row 6, is in row {}", row));
    }
    Layer layer(bench, {.head_dim = 32, .sequences = 3, .type = type});
    Matrix qkv = bench.random(type, 9, layer.shape().width());
    for (std::int64_t column = 0; column < qkv.columns; ++column)
      qkv.at(4, column) = std::numeric_limits<double>::quiet_NaN();  // the second of the second sequence's rows
    const Matrix out = layer.step({3, 3, 3}, &qkv).out;
    for (const std::int64_t row : {0, 1, 2, 3, 6, 7, 8})
      for (std::int64_t column = 0; column < out.columns; ++column)
        context.expect(std::isfinite(out.at(row, column)),
                       fmt::format("a later row's, or another sequence's, NaN is in row {} of attention", row));
  }
}

void two_at_once(Context& context) {
  const Bench benches[2] = {Bench(context), Bench(context)};
  struct Inputs {
    Matrix weight, in;
  };
  std::vector<Inputs> inputs;
  std::vector<std::unique_ptr<Weight>> weights;
  std::vector<std::unique_ptr<Tensor>> from, to;
  for (const Bench& bench : benches) {
    inputs.push_back({bench.random(DType::f32, 150, 120), bench.random(DType::f32, 30, 120)});
    weights.push_back(bench.weight(WeightUse::linear, DType::f32, DType::f32, inputs.back().weight));
    from.push_back(std::make_unique<Tensor>(bench, DType::f32, inputs.back().in));
    to.push_back(std::make_unique<Tensor>(bench, DType::f32, Matrix(30, 150)));
  }
  context.run_threads(2, [&](int index) {
    const auto at = static_cast<std::size_t>(index);
    const Expected right = right_linear(inputs[at].in, inputs[at].weight, {}, nullptr);
    for (int round = 0; round < 10; ++round) {
      benches[at].ok(benches[at]->linear({.weight = weights[at].get(), .in = from[at]->view(), .out = to[at]->view()},
                                         benches[at].stream()),
                     "linear");
      expect_close(benches[at], *to[at], right, "one of two devices in two threads");
      const Tensor other = Tensor::zeros(benches[at], DType::f32, 100 + round, 50);  // memory comes and goes meanwhile
    }
  });
}

std::size_t threads_here() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
    ++count;
  return count;
}

void comes_and_goes_cleanly(Context& context) {
  { const Bench warm(context); }
  const std::size_t before = threads_here();
  for (int round = 0; round < 30; ++round) {
    const Bench bench(context);
    const RowWeights weights(bench, DType::f32, 16);
    run_rows(bench, weights, bench.random(DType::f32, 4, 16));
    context.take(bench->allocate(1000), "allocate");  // what is not released goes with the device
  }
  context.expect(threads_here() == before,
                 fmt::format("{} threads after 30 devices, {} before", threads_here(), before));
}

constexpr Case conduct_rules[] = {
    {.id = "DV-70",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "embed, rms_norm, linear, gather_rows and argmax write the rows of their outputs and nothing before, "
              "behind or between them",
     .rationale = "What lies between rows is another tensor.",
     .body = writes_only_rows},
    {.id = "DV-71",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "rope_and_append and attention write the rows of qkv, the cache and out, and nothing else",
     .rationale = "What lies between rows is another tensor.",
     .body = sequences_write_only_rows},
    {.id = "DV-72",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "inputs that are not outputs are left as they are; attention changes nothing of qkv",
     .rationale = "They are read again.",
     .body = leaves_inputs},
    {.id = "DV-73",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "the same call on the same data gives the same bits, call after call",
     .rationale = "A request that is replayed after a failure must go on as it began.",
     .body = repeats_itself},
    {.id = "DV-74",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "rows that lie apart give the same bits as dense ones",
     .rationale = "Where a tensor lies is the engine's choice.",
     .body = gaps_change_nothing},
    {.id = "DV-75",
     .level = Level::must,
     .needs = "cap:batch_invariant",
     .since = "1",
     .title = "a row of rms_norm and linear has the same bits alone and in any batch",
     .rationale = "What batch_invariant claims: an answer does not depend on the neighbours.",
     .body = rows_do_not_see_each_other},
    {.id = "DV-76",
     .level = Level::must,
     .needs = "cap:batch_invariant",
     .since = "1",
     .title = "a sequence has the same bits alone in one go and in pieces among others",
     .rationale = "What batch_invariant claims: chunked prefill and replay change no token.",
     .body = sequences_do_not_see_each_other},
    {.id = "DV-77",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "NaN and infinities stay in their row, and in attention in rows of their sequence from theirs on",
     .rationale = "One broken request must not break the batch.",
     .body = nan_stays_in_its_row},
    {.id = "DV-78",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "two devices work at once in two threads, each right",
     .rationale = "Ranks may be threads of one process.",
     .body = two_at_once},
    {.id = "DV-79",
     .level = Level::must,
     .needs = "",
     .since = "1",
     .title = "a device ends with its threads and with what was not released; 30 in a row leave no thread",
     .rationale = "A replica that restarts in place makes a new one.",
     .body = comes_and_goes_cleanly},
};

}  // namespace

std::span<const Case> device_conduct_cases() { return conduct_rules; }

}  // namespace weft::conformance
