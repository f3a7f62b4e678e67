#include "tests/conformance/device/reference.h"

#include <algorithm>
#include <cmath>

namespace weft::conformance {
namespace {

constexpr double unit = 0x1p-24;
constexpr double function_error = 4e-6;

double sum_error(std::int64_t terms) { return static_cast<double>(terms + 16) * unit; }

struct Sum {
  double value = 0;
  double bound = 0;
};

Sum product(const Matrix& in, std::int64_t row, const Matrix& weight, std::int64_t n, const std::vector<double>& bias) {
  Sum sum;
  double magnitude = 0;
  for (std::int64_t k = 0; k < in.columns; ++k) {
    const double term = in.at(row, k) * weight.at(n, k);
    sum.value += term;
    magnitude += std::abs(term);
  }
  if (!bias.empty()) {
    sum.value += bias[static_cast<std::size_t>(n)];
    magnitude += std::abs(bias[static_cast<std::size_t>(n)]);
  }
  sum.bound = sum_error(in.columns) * magnitude;
  return sum;
}

double activated(Activation activation, double x) {
  switch (activation) {
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case Activation::gelu: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  }
  return 0;
}

void normalise(std::span<double> x, const Matrix& weight, double epsilon, double offset) {
  double squares = 0;
  for (const double value : x)
    squares += value * value;
  const double by = 1 / std::sqrt(squares / static_cast<double>(x.size()) + epsilon);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] *= by * (weight.values[i] + offset);
}

}  // namespace

double rounded(DType type, double value) {
  const auto narrow = static_cast<float>(value);
  if (type == DType::f16) return double{to_f32(to_f16(narrow))};
  if (type == DType::bf16) return double{to_f32(to_bf16(narrow))};
  return double{narrow};
}

double rounding(DType type, double magnitude) {
  // The second term: where numbers are subnormal. A little more than half a unit, for a way over f32.
  if (type == DType::f16) return 0x1.001p-11 * magnitude + 0x1p-25;
  if (type == DType::bf16) return 0x1.001p-8 * magnitude + 0x1p-126;
  return unit * magnitude + 0x1p-126;
}

Expected right_embed(const Matrix& table, const std::vector<std::int32_t>& ids, std::int32_t first_row, double scale) {
  Expected out(static_cast<std::int64_t>(ids.size()), table.columns);
  for (std::int64_t row = 0; row < out.value.rows; ++row) {
    const std::int64_t index = std::int64_t{ids[static_cast<std::size_t>(row)]} - first_row;
    for (std::int64_t column = 0; index >= 0 && index < table.rows && column < table.columns; ++column) {
      out.value.at(row, column) = scale * table.at(index, column);
      out.bound.at(row, column) = unit * std::abs(out.value.at(row, column));
    }
  }
  return out;
}

Expected right_norm(const Matrix& in, const Matrix& weight, double epsilon, double offset) {
  Expected out(in.rows, in.columns);
  out.value = in;
  for (std::int64_t row = 0; row < in.rows; ++row) {
    const std::span<double> x(&out.value.at(row, 0), static_cast<std::size_t>(in.columns));
    normalise(x, weight, epsilon, offset);
    for (std::int64_t column = 0; column < in.columns; ++column)
      out.bound.at(row, column) = sum_error(in.columns) * std::abs(out.value.at(row, column));
  }
  return out;
}

Expected right_linear(const Matrix& in, const Matrix& weight, const std::vector<double>& bias, const Matrix* before) {
  Expected out(in.rows, weight.rows);
  for (std::int64_t row = 0; row < in.rows; ++row)
    for (std::int64_t n = 0; n < weight.rows; ++n) {
      const Sum sum = product(in, row, weight, n, bias);
      const double old = before == nullptr ? 0 : before->at(row, n);
      out.value.at(row, n) = sum.value + old;
      out.bound.at(row, n) = sum.bound + 4 * unit * (std::abs(old) + std::abs(sum.value));
    }
  return out;
}

Expected right_gate(const Matrix& in, const Matrix& weight, const std::vector<double>& bias, Activation activation) {
  const std::int64_t width = weight.rows / 2;
  Expected out(in.rows, width);
  for (std::int64_t row = 0; row < in.rows; ++row)
    for (std::int64_t n = 0; n < width; ++n) {
      const Sum gate = product(in, row, weight, n, bias);
      const Sum up = product(in, row, weight, n + width, bias);
      const double active = activated(activation, gate.value);
      // No activation is steeper than 1.2.
      const double bound = 1.2 * gate.bound + function_error * std::max(1.0, std::abs(gate.value));
      out.value.at(row, n) = active * up.value;
      out.bound.at(row, n) = bound * (std::abs(up.value) + up.bound) + std::abs(active) * up.bound +
                             4 * unit * std::abs(active * up.value);
    }
  return out;
}

Expected right_rope(const Matrix& qkv, const RopeShape& shape, const std::vector<std::int32_t>& positions,
                    const Matrix& table, const Matrix* query_norm, const Matrix* key_norm) {
  Expected out(qkv.rows, qkv.columns);
  out.value = qkv;
  const std::int32_t half = shape.rotary_dim / 2;
  for (std::int64_t row = 0; row < qkv.rows; ++row)
    for (std::int32_t head = 0; head < shape.query_heads + shape.kv_heads; ++head) {
      const std::span<double> x(&out.value.at(row, std::int64_t{head} * shape.head_dim),
                                static_cast<std::size_t>(shape.head_dim));
      const std::span<double> bound(&out.bound.at(row, std::int64_t{head} * shape.head_dim), x.size());
      const Matrix* norm = head < shape.query_heads ? query_norm : key_norm;
      if (norm != nullptr) normalise(x, *norm, shape.epsilon, shape.offset);
      for (std::size_t i = 0; i < x.size(); ++i)
        bound[i] = norm == nullptr ? 0 : sum_error(shape.head_dim) * std::abs(x[i]);
      for (std::int32_t i = 0; i < half; ++i) {
        const double cos = table.at(positions[static_cast<std::size_t>(row)], i);
        const double sin = table.at(positions[static_cast<std::size_t>(row)], half + i);
        double& a = x[static_cast<std::size_t>(i)];
        double& b = x[static_cast<std::size_t>(i + half)];
        const double error = bound[static_cast<std::size_t>(i)] + bound[static_cast<std::size_t>(i + half)] +
                             4 * unit * (std::abs(a) + std::abs(b));
        const double turned = a * cos - b * sin;
        b = b * cos + a * sin;
        a = turned;
        bound[static_cast<std::size_t>(i)] = bound[static_cast<std::size_t>(i + half)] = error;
      }
    }
  return out;
}

void right_attention(std::span<const double> queries, std::int64_t position, const Matrix& keys, const Matrix& values,
                     const AttentionShape& shape, std::int64_t row, Expected& out) {
  const std::int64_t first = shape.window == 0 ? 0 : std::max<std::int64_t>(0, position - shape.window + 1);
  const std::int32_t dim = shape.head_dim;
  for (std::int32_t head = 0; head < shape.query_heads; ++head) {
    const std::int64_t kv = std::int64_t{head} / (shape.query_heads / shape.kv_heads) * dim;
    std::vector<double> scores;
    double score_error = 0;
    for (std::int64_t at = first; at <= position; ++at) {
      double sum = 0, magnitude = 0;
      for (std::int32_t i = 0; i < dim; ++i) {
        const double term = queries[static_cast<std::size_t>(head * dim + i)] * keys.at(at, kv + i);
        sum += term;
        magnitude += std::abs(term);
      }
      sum *= shape.scale;
      score_error = std::max(score_error, sum_error(dim) * magnitude * std::abs(shape.scale));
      if (shape.soft_cap != 0) sum = shape.soft_cap * std::tanh(sum / shape.soft_cap);
      score_error = std::max(score_error, sum_error(dim) * magnitude * std::abs(shape.scale) +
                                              (shape.soft_cap != 0 ? function_error * shape.soft_cap : 0));
      scores.push_back(sum);
    }
    const double largest = *std::max_element(scores.begin(), scores.end());
    double total = 0, extent = 0;
    for (double& score : scores)
      total += score = std::exp(score - largest);
    for (std::int64_t at = first; at <= position; ++at)
      for (std::int32_t i = 0; i < dim; ++i)
        extent = std::max(extent, std::abs(values.at(at, kv + i)));
    const double relative = 2 * score_error + function_error + 2 * sum_error(position - first + 1);
    for (std::int32_t i = 0; i < dim; ++i) {
      double sum = 0;
      for (std::int64_t at = first; at <= position; ++at)
        sum += scores[static_cast<std::size_t>(at - first)] * values.at(at, kv + i);
      out.value.at(row, std::int64_t{head} * dim + i) = sum / total;
      out.bound.at(row, std::int64_t{head} * dim + i) = relative * extent;
    }
  }
}

Matrix rope_table(std::int64_t positions, std::int32_t rotary_dim) {
  Matrix table(positions, rotary_dim);
  for (std::int64_t position = 0; position < positions; ++position)
    for (std::int32_t i = 0; i < rotary_dim / 2; ++i) {
      const double angle = static_cast<double>(position) * std::pow(10000.0, -2.0 * i / rotary_dim);
      table.at(position, i) = rounded(DType::f32, std::cos(angle));
      table.at(position, rotary_dim / 2 + i) = rounded(DType::f32, std::sin(angle));
    }
  return table;
}

}  // namespace weft::conformance
