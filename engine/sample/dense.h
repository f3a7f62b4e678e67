// Loops over a whole vocabulary, with the widest vectors of the CPU that runs them. The operations on an element and the
// order of additions are the same for every width, and no multiply-add is fused: the same bits on every CPU.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weft::engine {

// exp(x) for x <= 0, -inf included, within 2 ulp down to the smallest denormal; no libm, so the same bits everywhere.
// x = n ln 2 + r, exp(r) by its Taylor series to r^13 (|r| <= ln 2 / 2: the rest is below 5e-18), times 2^n in two
// factors, so that a denormal result is rounded once. The vector form in dense.cpp takes the same steps.
namespace exp_steps {
inline constexpr double least = -1000.0;        // its exponential is 0
inline constexpr double to_integer = 0x1.8p52;  // adding it rounds to an integer, which then stands in the low bits
inline constexpr double log2_e = 0x1.71547652b82fep+0;
inline constexpr double ln2_high = 0x1.62e42fefa3800p-1;  // its product with n is exact
inline constexpr double ln2_low = 0x1.ef35793c76730p-45;
inline constexpr double series[] = {
    1.0 / 6227020800.0, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
    1.0 / 720,          1.0 / 120,       1.0 / 24,       1.0 / 6,       1.0 / 2,      1.0,         1.0};
}  // namespace exp_steps

inline double exp_not_positive(double x) noexcept {
  using namespace exp_steps;
  const double clamped = x > least ? x : least;
  const double n = (clamped * log2_e + to_integer) - to_integer;
  const double r = (clamped - n * ln2_high) - n * ln2_low;
  double sum = 0;
  for (const double coefficient : series)
    sum = sum * r + coefficient;
  const double half = n * 0.5 + to_integer;
  const double rest = (n - (half - to_integer)) + to_integer;
  const auto power_of_two = [](double integer) {
    return std::bit_cast<double>((std::bit_cast<std::uint64_t>(integer) + 1023) << 52);
  };
  return sum * power_of_two(half) * power_of_two(rest);
}

// The largest of `values`, -inf for none. NaN where one of them is.
float largest_of(std::span<const float> values);

// Of a value that is in `values`: its lowest index. Their number, where it is not.
std::size_t first_index_of(std::span<const float> values, float value);

// weights[i] = exp((values[i] - largest) * scale), where no value exceeds `largest` and scale > 0. The two spans of
// doubles may be the same.
void exp_weights(std::span<const float> values, double largest, double scale, std::span<double> weights);
void exp_weights(std::span<const double> values, double largest, double scale, std::span<double> weights);

// The sum of exp(values[i] - largest).
double sum_of_exp(std::span<const float> values, double largest);

double sum_of(std::span<const double> values) noexcept;

inline constexpr std::size_t scan_block = 64;

// The first multiple of scan_block, from the multiple `from` on, whose block of values may have one that is >= floor (a
// float's comparison is rounded in the values' favour). The start of the last, incomplete block where there is none.
std::size_t next_block(std::span<const float> values, std::size_t from, double floor);
std::size_t next_block(std::span<const double> values, std::size_t from, double floor);

// Calls visit(index, value) for each value >= floor(), in ascending order; floor() may rise between calls. Few visits are
// expected: blocks without any are passed over at the speed of memory.
template <class T, class Floor, class Visit>
void for_each_at_least(std::span<const T> values, Floor floor, Visit visit) {
  for (std::size_t at = 0; at < values.size(); at += scan_block) {
    at = next_block(values, at, floor());
    for (std::size_t i = at; i < values.size() && i < at + scan_block; ++i)
      if (static_cast<double>(values[i]) >= floor()) visit(i, values[i]);
  }
}

}  // namespace weft::engine
