// Loops over a whole vocabulary, written so that a compiler turns them into SIMD without being allowed to reorder
// floating point: eight lanes in the source, one order of additions on every CPU.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace weft::engine {

// exp(x) for x <= 0, -inf included, within 1 ulp or so of the true value down to the smallest denormal; no branch, no
// libm, so the same bits everywhere. x = n ln 2 + r, exp(r) by its Taylor series to r^13 (|r| <= ln 2 / 2: the rest is
// below 5e-18), times 2^n in two factors, so that a denormal result is rounded once.
inline double exp_not_positive(double x) noexcept {
  constexpr double to_integer = 0x1.8p52;  // adding it rounds to an integer, which then stands in the low bits
  const double clamped = x > -1000.0 ? x : -1000.0;
  const double n = (clamped * 0x1.71547652b82fep+0 + to_integer) - to_integer;
  const double r = (clamped - n * 0x1.62e42fefa3800p-1) - n * 0x1.ef35793c76730p-45;
  double series = 1.0 / 6227020800.0;
  constexpr double coefficients[] = {
      1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
      1.0 / 120,       1.0 / 24,       1.0 / 6,       1.0 / 2,      1.0,         1.0};
  for (const double coefficient : coefficients)
    series = series * r + coefficient;
  const double half = n * 0.5 + to_integer;
  const double rest = (n - (half - to_integer)) + to_integer;
  const auto power_of_two = [](double integer) {
    return std::bit_cast<double>((std::bit_cast<std::uint64_t>(integer) + 1023) << 52);
  };
  return series * power_of_two(half) * power_of_two(rest);
}

// The largest of `values`, -inf for none. NaN where one of them is.
float largest_of(std::span<const float> values) noexcept;

// Of a value that is in `values`: its lowest index.
std::size_t first_index_of(std::span<const float> values, float value) noexcept;

// weights[i] = exp((values[i] - largest) * scale), where no value exceeds `largest` and scale > 0.
void exp_weights(std::span<const float> values, double largest, double scale, std::span<double> weights) noexcept;
void exp_weights(std::span<const double> values, double largest, double scale, std::span<double> weights) noexcept;

// The sum of exp(values[i] - largest).
double sum_of_exp(std::span<const float> values, double largest) noexcept;

double sum_of(std::span<const double> values) noexcept;

// Calls visit(index, value) for each value >= floor(), in ascending order; floor() may rise between calls. Few visits are
// expected: blocks without any are passed over at the speed of memory.
template <class T, class Floor, class Visit>
void for_each_at_least(std::span<const T> values, Floor floor, Visit visit) {
  constexpr std::size_t block = 64;
  std::size_t at = 0;
  for (; at + block <= values.size(); at += block) {
    const double low = floor();
    int any = 0;
    for (std::size_t i = 0; i < block; ++i)
      any |= static_cast<double>(values[at + i]) >= low ? 1 : 0;
    if (any == 0) continue;
    for (std::size_t i = 0; i < block; ++i)
      if (static_cast<double>(values[at + i]) >= floor()) visit(at + i, values[at + i]);
  }
  for (; at < values.size(); ++at)
    if (static_cast<double>(values[at]) >= floor()) visit(at, values[at]);
}

}  // namespace weft::engine
