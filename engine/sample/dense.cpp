#include "engine/sample/dense.h"

#include <algorithm>
#include <array>

namespace weft::engine {
namespace {

constexpr std::size_t lanes = 8;

template <class T>
void weights_of(std::span<const T> values, double largest, double scale, std::span<double> weights) noexcept {
  for (std::size_t i = 0; i < values.size(); ++i)
    weights[i] = exp_not_positive((static_cast<double>(values[i]) - largest) * scale);
}

// Adds term(i) for i < count: lane l takes the indices l, l + 8, ..., and the lanes are added in order.
template <class Term>
double sum_in_lanes(std::size_t count, Term term) noexcept {
  std::array<double, lanes> sums{};
  std::size_t at = 0;
  for (; at + lanes <= count; at += lanes)
    for (std::size_t lane = 0; lane < lanes; ++lane)
      sums[lane] += term(at + lane);
  double total = 0;
  for (const double sum : sums)
    total += sum;
  for (; at < count; ++at)
    total += term(at);
  return total;
}

}  // namespace

float largest_of(std::span<const float> values) noexcept {
  constexpr std::size_t width = 16;
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  std::array<float, width> best;
  best.fill(lowest);
  std::array<std::uint32_t, width> broken{};
  std::size_t at = 0;
  for (; at + width <= values.size(); at += width) {
    for (std::size_t lane = 0; lane < width; ++lane) {
      const float value = values[at + lane];
      best[lane] = value > best[lane] ? value : best[lane];
      broken[lane] |= value != value ? 1u : 0u;
    }
  }
  float largest = lowest;
  bool any_broken = std::any_of(broken.begin(), broken.end(), [](std::uint32_t flag) { return flag != 0; });
  for (const float value : best)
    largest = std::max(largest, value);
  for (; at < values.size(); ++at) {
    any_broken = any_broken || values[at] != values[at];
    largest = std::max(largest, values[at]);
  }
  return any_broken ? std::numeric_limits<float>::quiet_NaN() : largest;
}

std::size_t first_index_of(std::span<const float> values, float value) noexcept {
  return static_cast<std::size_t>(std::find(values.begin(), values.end(), value) - values.begin());
}

void exp_weights(std::span<const float> values, double largest, double scale, std::span<double> weights) noexcept {
  weights_of(values, largest, scale, weights);
}

void exp_weights(std::span<const double> values, double largest, double scale, std::span<double> weights) noexcept {
  weights_of(values, largest, scale, weights);
}

double sum_of_exp(std::span<const float> values, double largest) noexcept {
  return sum_in_lanes(values.size(),
                      [&](std::size_t i) { return exp_not_positive(static_cast<double>(values[i]) - largest); });
}

double sum_of(std::span<const double> values) noexcept {
  return sum_in_lanes(values.size(), [&](std::size_t i) { return values[i]; });
}

}  // namespace weft::engine
