#include "kernels/reference/matrix.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace weft {

double activate(Activation activation, double x) noexcept {
  switch (activation) {
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::gelu_tanh:  // Hendrycks and Gimpel 2016, section 2; the constant is sqrt(2 / pi)
      return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case Activation::gelu: return 0.5 * x * std::erfc(-x * 0.70710678118654752440);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

void reference_embed(const EmbedArgs& args, const ReferenceWeight& table) {
  const auto* ids = args.ids.as<const std::int32_t>();
  for (std::int64_t row = 0; row < args.out.rows; ++row) {
    const std::int64_t index = std::int64_t{ids[row]} - args.first_row;
    const bool ours = index >= 0 && index < table.rows();
    for (std::int64_t column = 0; column < args.out.columns; ++column)
      store(args.out, row, column, ours ? double{args.scale} * double{table.row(index)[column]} : 0.0);
  }
}

void normalise(std::span<double> x, const float* weight, double weight_offset, double epsilon) noexcept {
  double squares = 0;
  for (const double value : x)
    squares += value * value;
  const double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()) + epsilon);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] *= scale * (double{weight[i]} + weight_offset);
}

void reference_rms_norm(const NormArgs& args, const ReferenceWeight& weight) {
  const bool has_residual = args.residual.buffer.data != nullptr;
  std::vector<double> x(static_cast<std::size_t>(args.in.columns));
  for (std::int64_t row = 0; row < args.in.rows; ++row) {
    for (std::int64_t column = 0; column < args.in.columns; ++column) {
      auto& value = x[static_cast<std::size_t>(column)];
      value = double{load(args.in, row, column)};
      if (!has_residual) continue;
      store(args.residual, row, column, value + double{load(args.residual, row, column)});
      // What is normed is the sum as stored, so that a later layer that reads it again sees the same numbers.
      value = double{load(args.residual, row, column)};
    }
    normalise(x, weight.row(0), double{args.weight_offset}, double{args.epsilon});
    for (std::int64_t column = 0; column < args.in.columns; ++column)
      store(args.out, row, column, x[static_cast<std::size_t>(column)]);
  }
}

void reference_linear(const LinearArgs& args, const ReferenceWeight& weight) {
  const auto product = [&](std::int64_t row, std::int64_t n) {
    double sum = 0;
    for (std::int64_t k = 0; k < weight.columns(); ++k)
      sum += double{load(args.in, row, k)} * double{weight.row(n)[k]};
    return sum + weight.bias(n);
  };
  const std::int64_t outputs = args.out.columns;
  for (std::int64_t row = 0; row < args.in.rows; ++row) {
    for (std::int64_t n = 0; n < outputs; ++n) {
      switch (args.epilogue) {
        case LinearArgs::Epilogue::store: store(args.out, row, n, product(row, n)); break;
        case LinearArgs::Epilogue::add:
          store(args.out, row, n, double{load(args.out, row, n)} + product(row, n));
          break;
        case LinearArgs::Epilogue::gate:
          store(args.out, row, n, activate(args.activation, product(row, n)) * product(row, n + outputs));
          break;
      }
    }
  }
}

void reference_gather(const TensorView& in, const Buffer& rows, const TensorView& out) {
  const auto* indices = rows.as<const std::int32_t>();
  const auto size = static_cast<std::int64_t>(size_of(in.type));
  for (std::int64_t row = 0; row < out.rows; ++row)
    std::memmove(out.buffer.as<std::byte>() + row * out.stride() * size,
                 in.buffer.as<const std::byte>() + indices[row] * in.stride() * size,
                 static_cast<std::size_t>(out.columns * size));
}

void reference_argmax(const TensorView& logits, const Buffer& ids, const Buffer& values) {
  for (std::int64_t row = 0; row < logits.rows; ++row) {
    // A row of nothing but NaN has no largest value: index 0, value NaN.
    std::int32_t best = 0;
    float largest = load(logits, row, 0);
    for (std::int64_t column = 1; column < logits.columns; ++column) {
      const float value = load(logits, row, column);
      if (value > largest || (std::isnan(largest) && !std::isnan(value))) {
        largest = value;
        best = static_cast<std::int32_t>(column);
      }
    }
    ids.as<std::int32_t>()[row] = best;
    if (values.data != nullptr) values.as<float>()[row] = largest;
  }
}

}  // namespace weft
