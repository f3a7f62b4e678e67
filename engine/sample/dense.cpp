// Compiled once for each vector width that Highway knows of this architecture; the widest that runs is chosen at the
// first call.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/sample/dense.cpp"
#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "engine/sample/dense.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace weft::engine::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// exp_not_positive() of dense.h, element by element, step by step.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp_vector(D d, V x) {
  using namespace exp_steps;
  const hn::RebindToUnsigned<D> bits;
  const V clamped = hn::Max(x, hn::Set(d, least));
  const V round = hn::Set(d, to_integer);
  const V n = hn::Sub(hn::Add(hn::Mul(clamped, hn::Set(d, log2_e)), round), round);
  const V r = hn::Sub(hn::Sub(clamped, hn::Mul(n, hn::Set(d, ln2_high))), hn::Mul(n, hn::Set(d, ln2_low)));
  V sum = hn::Set(d, series[0]);
  for (std::size_t i = 1; i < std::size(series); ++i)
    sum = hn::Add(hn::Mul(sum, r), hn::Set(d, series[i]));
  const V half = hn::Add(hn::Mul(n, hn::Set(d, 0.5)), round);
  const V rest = hn::Add(hn::Sub(n, hn::Sub(half, round)), round);
  const auto power_of_two = [&](V integer) HWY_ATTR {
    const auto biased = hn::Add(hn::BitCast(bits, integer), hn::Set(bits, std::uint64_t{1023}));
    return hn::BitCast(d, hn::ShiftLeft<52>(biased));
  };
  return hn::Mul(hn::Mul(sum, power_of_two(half)), power_of_two(rest));
}

template <class D>
HWY_INLINE hn::Vec<D> load_f64(D d, const double* from) {
  return hn::LoadU(d, from);
}
template <class D>
HWY_INLINE hn::Vec<D> load_f64(D d, const float* from) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, D>(), from));
}

template <class T>
HWY_INLINE void exp_weights_in_vectors(const T* values, std::size_t count, double largest, double scale,
                                       double* weights) {
  const hn::ScalableTag<double> d;
  std::size_t at = 0;
  for (; at + hn::Lanes(d) <= count; at += hn::Lanes(d)) {
    const auto distance = hn::Sub(load_f64(d, values + at), hn::Set(d, largest));
    hn::StoreU(exp_vector(d, hn::Mul(distance, hn::Set(d, scale))), d, weights + at);
  }
  for (; at < count; ++at)
    weights[at] = exp_not_positive((static_cast<double>(values[at]) - largest) * scale);
}

void exp_weights_f32(const float* values, std::size_t count, double largest, double scale, double* weights) {
  exp_weights_in_vectors(values, count, largest, scale, weights);
}
void exp_weights_f64(const double* values, std::size_t count, double largest, double scale, double* weights) {
  exp_weights_in_vectors(values, count, largest, scale, weights);
}

float largest_of(const float* values, std::size_t count) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  auto best0 = hn::Set(d, lowest);
  auto best1 = best0;
  auto sane = hn::Eq(best0, best0);
  std::size_t at = 0;
  for (; at + 2 * lanes <= count; at += 2 * lanes) {
    const auto value0 = hn::LoadU(d, values + at);
    const auto value1 = hn::LoadU(d, values + at + lanes);
    best0 = hn::Max(best0, value0);
    best1 = hn::Max(best1, value1);
    sane = hn::And(sane, hn::And(hn::Eq(value0, value0), hn::Eq(value1, value1)));
  }
  bool broken = !hn::AllTrue(d, sane);
  float largest = hn::GetLane(hn::MaxOfLanes(d, hn::Max(best0, best1)));
  for (; at < count; ++at) {
    broken = broken || std::isnan(values[at]);
    largest = std::max(largest, values[at]);
  }
  return broken ? std::numeric_limits<float>::quiet_NaN() : largest;
}

template <class T>
HWY_INLINE std::size_t next_block_in_vectors(const T* values, std::size_t count, std::size_t from, T floor) {
  const hn::ScalableTag<T> d;
  const auto low = hn::Set(d, floor);
  for (; from + scan_block <= count; from += scan_block) {
    auto best = hn::LoadU(d, values + from);
    for (std::size_t i = hn::Lanes(d); i < scan_block; i += hn::Lanes(d))
      best = hn::Max(best, hn::LoadU(d, values + from + i));
    if (!hn::AllFalse(d, hn::Ge(best, low))) break;
  }
  return from;
}

std::size_t next_block_f32(const float* values, std::size_t count, std::size_t from, float floor) {
  return next_block_in_vectors(values, count, from, floor);
}
std::size_t next_block_f64(const double* values, std::size_t count, std::size_t from, double floor) {
  return next_block_in_vectors(values, count, from, floor);
}

}  // namespace weft::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::engine {

HWY_EXPORT(exp_weights_f32);
HWY_EXPORT(exp_weights_f64);
HWY_EXPORT(largest_of);
HWY_EXPORT(next_block_f32);
HWY_EXPORT(next_block_f64);

float largest_of(std::span<const float> values) {
  return HWY_DYNAMIC_DISPATCH(largest_of)(values.data(), values.size());
}

void exp_weights(std::span<const float> values, double largest, double scale, std::span<double> weights) {
  HWY_DYNAMIC_DISPATCH(exp_weights_f32)(values.data(), values.size(), largest, scale, weights.data());
}

void exp_weights(std::span<const double> values, double largest, double scale, std::span<double> weights) {
  HWY_DYNAMIC_DISPATCH(exp_weights_f64)(values.data(), values.size(), largest, scale, weights.data());
}

std::size_t next_block(std::span<const double> values, std::size_t from, double floor) {
  return HWY_DYNAMIC_DISPATCH(next_block_f64)(values.data(), values.size(), from, floor);
}

std::size_t next_block(std::span<const float> values, std::size_t from, double floor) {
  auto low = static_cast<float>(floor);
  if (static_cast<double>(low) > floor) low = std::nextafter(low, -std::numeric_limits<float>::infinity());
  return HWY_DYNAMIC_DISPATCH(next_block_f32)(values.data(), values.size(), from, low);
}

std::size_t first_index_of(std::span<const float> values, float value) {
  for (std::size_t at = 0; at < values.size(); at += scan_block) {
    at = next_block(values, at, static_cast<double>(value));
    for (std::size_t i = at; i < values.size() && i < at + scan_block; ++i)
      if (values[i] == value) return i;
  }
  return values.size();
}

double sum_of(std::span<const double> values) noexcept {
  std::array<double, 8> lanes{};
  std::size_t at = 0;
  for (; at + lanes.size() <= values.size(); at += lanes.size())
    for (std::size_t lane = 0; lane < lanes.size(); ++lane)
      lanes[lane] += values[at + lane];
  double total = 0;
  for (const double lane : lanes)
    total += lane;
  for (; at < values.size(); ++at)
    total += values[at];
  return total;
}

double sum_of_exp(std::span<const float> values, double largest) {
  std::array<double, 512> weights;
  double total = 0;
  while (!values.empty()) {
    const auto part = values.first(std::min(values.size(), weights.size()));
    exp_weights(part, largest, 1.0, weights);
    total += sum_of(std::span<const double>(weights).first(part.size()));
    values = values.subspan(part.size());
  }
  return total;
}

}  // namespace weft::engine
#endif
