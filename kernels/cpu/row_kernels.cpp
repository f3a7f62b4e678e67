// What is done to one row at a time: conversions, norms, rotation, argmax.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/row_kernels.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h

#include <hwy/highway.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace weft {
namespace HWY_NAMESPACE {
namespace {

void widen_any(const void* from, DType type, float* to, std::int64_t size) {
  const auto count = static_cast<std::size_t>(size);
  switch (type) {
    case DType::f16: widen_row(static_cast<const f16*>(from), to, count); break;
    case DType::bf16: widen_row(static_cast<const bf16*>(from), to, count); break;
    default: std::memcpy(to, from, count * sizeof(float));
  }
}

void narrow_any(const float* from, void* to, DType type, std::int64_t size) {
  const auto count = static_cast<std::size_t>(size);
  switch (type) {
    case DType::f16: narrow_row(from, static_cast<f16*>(to), count); break;
    case DType::bf16: narrow_row(from, static_cast<bf16*>(to), count); break;
    default: std::memcpy(to, from, count * sizeof(float));
  }
}

void scale(float* values, float by, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i)
    values[i] *= by;
}

void add(const float* from, void* to, DType type, float* sum, std::int64_t size) {
  widen_any(to, type, sum, size);
  for (std::int64_t i = 0; i < size; ++i)
    sum[i] += from[i];
  narrow_any(sum, to, type, size);
  widen_any(to, type, sum, size);
}

void normalise(float* values, const float* weight, float weight_offset, float epsilon, std::int64_t size) {
  const auto count = static_cast<std::size_t>(size);
  auto squares = hn::Zero(F32());
  const auto square = [&](Vector x) HWY_ATTR { squares = hn::MulAdd(x, x, squares); };
  for_each_vector(
      count, [&](std::size_t i) HWY_ATTR { square(widen(values + i)); },
      [&](std::size_t i, std::size_t left) HWY_ATTR { square(widen_some(values + i, left)); });
  const float sum = hn::GetLane(hn::SumOfLanes(F32(), squares));
  const float by = 1 / std::sqrt(sum / static_cast<float>(size) + epsilon);
  for (std::int64_t i = 0; i < size; ++i)
    values[i] *= by * (weight[i] + weight_offset);
}

void rotate(float* HWY_RESTRICT head, const float* HWY_RESTRICT cos, const float* HWY_RESTRICT sin, std::int64_t half) {
  float* HWY_RESTRICT other = head + half;
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = head[i];
    const float b = other[i];
    head[i] = a * cos[i] - b * sin[i];
    other[i] = b * cos[i] + a * sin[i];
  }
}

// Where `value` is first; `size` where it is not.
std::int64_t find(const float* values, std::int64_t size, float value) {
  const auto wanted = hn::Set(F32(), value);
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(lanes) <= size; i += static_cast<std::int64_t>(lanes))
    if (!hn::AllFalse(F32(), hn::Eq(widen(values + i), wanted))) break;
  while (i < size && values[i] != value)
    ++i;
  return i;
}

std::int32_t argmax(const float* values, std::int64_t size) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  auto largest = hn::Set(F32(), lowest);
  // A comparison with NaN is false: NaN never gets in.
  const auto take = [&](Vector x) HWY_ATTR { largest = hn::IfThenElse(hn::Gt(x, largest), x, largest); };
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(lanes) <= size; i += static_cast<std::int64_t>(lanes))
    take(widen(values + i));
  float value = hn::GetLane(hn::MaxOfLanes(F32(), largest));
  for (; i < size; ++i)
    value = values[i] > value ? values[i] : value;
  const std::int64_t found = find(values, size, value);
  return found == size ? 0 : static_cast<std::int32_t>(found);  // all are NaN
}

const RowKernels* table() {
  static const RowKernels kernels{.target = hwy::TargetName(HWY_TARGET),
                                  .lanes = lanes,
                                  .widen = &widen_any,
                                  .narrow = &narrow_any,
                                  .scale = &scale,
                                  .add = &add,
                                  .normalise = &normalise,
                                  .rotate = &rotate,
                                  .argmax = &argmax};
  return &kernels;
}

}  // namespace
const RowKernels* row_table() { return table(); }
}  // namespace HWY_NAMESPACE
}  // namespace weft
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft {
HWY_EXPORT(row_table);
const RowKernels& row_kernels() { return *HWY_DYNAMIC_DISPATCH(row_table)(); }
}  // namespace weft
#endif
