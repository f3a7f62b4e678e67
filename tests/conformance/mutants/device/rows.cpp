#include "tests/conformance/mutants/device/rows.h"

#include <cmath>
#include <limits>

#include "tests/conformance/mutants/device/checks.h"
#include "tests/conformance/mutants/device/elements.h"
#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {
namespace {

double activated(Activation activation, double x) {
  if (breaks("one_gelu") && activation == Activation::gelu_tanh) activation = Activation::gelu;
  switch (activation) {
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::gelu_tanh: return x / 2 * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case Activation::gelu: return x / 2 * std::erfc(-x / 1.4142135623730951);
  }
  return 0;
}

// Not a multiple of the calls that a case makes in a row.
bool every_fifth_call() {
  thread_local int calls = 0;
  return ++calls % 5 == 0;
}

double dot(const std::vector<double>& in, const Matrix& weight, std::int64_t n) {
  const bool narrow = breaks("accumulates_in_f16");
  const std::size_t columns = in.size() - (breaks("misses_odd_columns") && in.size() % 2 != 0 ? 1 : 0);
  const float* const row = &weight.values[static_cast<std::size_t>(n) * in.size()];
  double sum = 0;
  for (std::size_t k = 0; k < columns; ++k) {
    sum += in[k] * double{row[k]};
    if (narrow) sum = rounded(DType::f16, sum);
  }
  if (weight.biases.empty() || breaks("forgets_bias")) return sum;
  return sum + double{weight.biases[static_cast<std::size_t>(n)]};
}

// What one element of linear's output is before it is stored.
double element(const LinearArgs& args, const std::vector<double>& in, std::int64_t n) {
  const Matrix& weight = matrix_of(args.weight);
  if (args.epilogue != LinearArgs::Epilogue::gate) return dot(in, weight, n);
  const std::int64_t half = weight.row_count / 2;
  const double gate = dot(in, weight, n), up = dot(in, weight, n + half);
  return breaks("gate_and_up_swapped") ? activated(args.activation, up) * gate : activated(args.activation, gate) * up;
}

bool has_nan(const LinearArgs& args, const Elements& in) {
  for (std::int64_t row = 0; row < args.in.rows; ++row)
    for (std::int64_t column = 0; column < args.in.columns; ++column)
      if (std::isnan(in.get(row, column))) return true;
  return false;
}

}  // namespace

double a_little_more(double value) {
  return double{std::nextafter(static_cast<float>(value), std::numeric_limits<float>::infinity())};
}

void embed(const EmbedArgs& args) {
  const Matrix& table = matrix_of(args.table);
  const Elements out(args.out);
  for (std::int64_t row = 0; row < args.out.rows; ++row) {
    std::int64_t index = std::int64_t{index_at(args.ids, row)} - args.first_row;
    if (breaks("embeds_outside")) index = std::clamp<std::int64_t>(index, 0, table.row_count - 1);
    if (breaks("embeds_one_off") && index > 0) --index;
    const bool here = index >= 0 && index < table.row_count;
    for (std::int64_t column = 0; column < table.column_count; ++column)
      out.set(row, column, here ? double{args.scale} * table.at(index, column) : 0);
  }
}

void normalise(std::vector<double>& x, const Matrix& weight, double epsilon, double offset) {
  double squares = 0;
  for (const double value : x)
    squares += value * value;
  const double mean = squares / static_cast<double>(x.size());
  const double by = breaks("epsilon_outside") ? 1 / (std::sqrt(mean) + epsilon) : 1 / std::sqrt(mean + epsilon);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] *= by * (weight.at(0, static_cast<std::int64_t>(i)) + (breaks("no_weight_offset") ? 0 : offset));
}

void rms_norm(const NormArgs& args) {
  const Matrix& weight = matrix_of(args.weight);
  const Elements in(args.in), residual(args.residual), out(args.out);
  const bool adds = args.residual.buffer.data != nullptr;
  const bool in_place = args.in.buffer.data == args.out.buffer.data;
  std::vector<double> x(static_cast<std::size_t>(weight.column_count));
  for (std::int64_t row = 0; row < args.in.rows; ++row) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto column = static_cast<std::int64_t>(i);
      x[i] = in.get(row, column);
      if (breaks("norms_while_reading") && in_place && i == 0) out.set(row, column + 1 < args.in.columns ? 1 : 0, 0);
      if (!adds) continue;
      x[i] += residual.get(row, column);
      residual.set(row, column, x[i]);
      if (!breaks("norms_the_exact_sum")) x[i] = residual.get(row, column);
    }
    normalise(x, weight, double{args.epsilon}, double{args.weight_offset});
    for (std::size_t i = 0; i < x.size(); ++i)
      out.set(row, static_cast<std::int64_t>(i), x[i]);
    if (breaks("writes_behind_rows") && out.has_gaps()) out.set(row, args.out.columns, 0);
    if (breaks("writes_behind_the_end") && row + 1 == args.in.rows) out.set(row, args.out.columns, 0);
    if (breaks("leaves_marks_in_its_input") && !in_place) in.set(row, 0, 0);
  }
}

void linear(const LinearArgs& args) {
  const Elements in(args.in), out(args.out);
  const bool add = args.epilogue == LinearArgs::Epilogue::add;
  const bool noise = (breaks("differs_now_and_then") && every_fifth_call()) ||
                     (breaks("differs_where_rows_are_apart") && in.has_gaps()) ||
                     (breaks("rows_see_each_other") && args.in.rows > 16);
  const bool spoiled = breaks("nan_spreads") && has_nan(args, in);
  const DType compute = matrix_of(args.weight).compute;
  std::vector<double> x(static_cast<std::size_t>(matrix_of(args.weight).column_count));
  for (std::int64_t row = 0; row < args.in.rows; ++row) {
    for (std::size_t k = 0; k < x.size(); ++k)
      x[k] = in.get(row, static_cast<std::int64_t>(k));
    for (std::int64_t n = 0; n < args.out.columns; ++n) {
      double value = element(args, x, n);
      if (breaks("rounds_twice") && add) value = rounded(args.out.type, value);
      if (breaks("rounds_logits")) value = rounded(compute, value);
      if (add && !breaks("add_is_store")) value += out.get(row, n);
      if (noise) value = a_little_more(value);
      if (spoiled) value = std::numeric_limits<double>::quiet_NaN();
      out.set(breaks("one_row_too_far") && row + 1 < args.in.rows ? row + 1 : row, n, value);
    }
  }
}

void gather(const TensorView& in, Buffer rows, const TensorView& out) {
  const Elements from(in), to(out);
  std::vector<bool> taken(static_cast<std::size_t>(in.rows));
  for (std::int64_t row = 0; row < out.rows; ++row) {
    const std::int64_t picked = std::clamp<std::int64_t>(index_at(rows, row), 0, in.rows - 1);
    const bool again = taken[static_cast<std::size_t>(picked)];
    taken[static_cast<std::size_t>(picked)] = true;
    for (std::int64_t column = 0; column < in.columns; ++column)
      to.set(row, column, again && breaks("gathers_once") ? 0 : from.get(picked, column));
  }
}

void argmax(const TensorView& logits, Buffer ids, Buffer values) {
  const Elements in(logits);
  for (std::int64_t row = 0; row < logits.rows; ++row) {
    std::int64_t best = 0;
    for (std::int64_t column = 1; column < logits.columns; ++column) {
      const double value = in.get(row, column), largest = in.get(row, best);
      const bool first_number = std::isnan(largest) && !std::isnan(value) && !breaks("nan_is_largest");
      if (value > largest || first_number || (breaks("last_of_equals") && value == largest)) best = column;
    }
    ids.as<std::int32_t>()[row] = static_cast<std::int32_t>(best);
    if (values.data == nullptr) continue;
    values.as<float>()[row] =
        breaks("values_are_ids") ? static_cast<float>(best) : static_cast<float>(in.get(row, best));
  }
}

}  // namespace weft::mutant
