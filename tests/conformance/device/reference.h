// What is right, in doubles, and how far from it f32 arithmetic may end, whatever the order of its sums: a sum of n products
// is off by at most (n + 16) 2^-24 of the sum of their magnitudes (Higham, Accuracy and Stability, section 3.1); the
// elementary functions by 4e-6 of what they are given or give. Rounding when stored comes on top: see rounding().
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "weft/device.h"

namespace weft::conformance {

struct Matrix {
  Matrix() = default;
  Matrix(std::int64_t row_count, std::int64_t column_count, double value = 0)
      : rows(row_count), columns(column_count), values(static_cast<std::size_t>(row_count * column_count), value) {}

  double& at(std::int64_t row, std::int64_t column) { return values[static_cast<std::size_t>(row * columns + column)]; }
  double at(std::int64_t row, std::int64_t column) const {
    return values[static_cast<std::size_t>(row * columns + column)];
  }

  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<double> values;
};

struct Expected {
  Expected() = default;
  Expected(std::int64_t rows, std::int64_t columns) : value(rows, columns), bound(rows, columns) {}

  Matrix value;
  Matrix bound;  // absolute, before rounding
};

// The nearest value of a float type.
double rounded(DType type, double value);
// The most that one rounding to `type` changes a value of this magnitude by.
double rounding(DType type, double magnitude);

Expected right_embed(const Matrix& table, const std::vector<std::int32_t>& ids, std::int32_t first_row, double scale);
Expected right_norm(const Matrix& in, const Matrix& weight, double epsilon, double offset);
// in W^T + bias; `before` (add) may be null.
Expected right_linear(const Matrix& in, const Matrix& weight, const std::vector<double>& bias, const Matrix* before);
Expected right_gate(const Matrix& in, const Matrix& weight, const std::vector<double>& bias, Activation activation);

struct RopeShape {
  std::int32_t query_heads = 1;
  std::int32_t kv_heads = 1;
  std::int32_t head_dim = 8;
  std::int32_t rotary_dim = 0;  // 0: no table
  double epsilon = 1e-5;
  double offset = 0;
};
// `table`: [positions, rotary_dim]; the norms [1, head_dim], null: none.
Expected right_rope(const Matrix& qkv, const RopeShape& shape, const std::vector<std::int32_t>& positions,
                    const Matrix& table, const Matrix* query_norm, const Matrix* key_norm);

struct AttentionShape {
  std::int32_t query_heads = 1;
  std::int32_t kv_heads = 1;
  std::int32_t head_dim = 8;
  double scale = 1;
  double soft_cap = 0;
  std::int32_t window = 0;
};
// One row's queries [Hq * D] at `position` against keys and values [positions, Hkv * D].
void right_attention(std::span<const double> queries, std::int64_t position, const Matrix& keys, const Matrix& values,
                     const AttentionShape& shape, std::int64_t row, Expected& out);

// cos | sin of position * 10000^(-2i / rotary_dim), as f32 has them.
Matrix rope_table(std::int64_t positions, std::int32_t rotary_dim);

}  // namespace weft::conformance
