// Matrix products: weights in panels of 32 outputs, each weight read once for a tile of rows held in registers.
//
// The order of a sum is fixed: within a block of sum_block terms one after the other, then block after block. An output
// is one lane of one accumulator whatever the number of rows, so its bits do not depend on the batch, nor on threads.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear_kernels.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h

#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <hwy/contrib/math/math-inl.h>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace weft {
namespace HWY_NAMESPACE {
namespace {

// Two vectors of outputs by as many rows as the registers take: 24 of 32 accumulators, or 12 of 16.
constexpr std::size_t tile_rows = lanes == 16 ? 12 : 6;
constexpr std::size_t tile_vectors = 2;
constexpr std::size_t tile_columns = tile_vectors * lanes;

// sums[row][panel][column] (+)= in[row][0, size) * panel. Panels are `panel_stride` elements apart.
template <class T, std::size_t Rows, std::size_t Panels>
HWY_INLINE void tile_part(const float* HWY_RESTRICT in, std::int64_t in_stride, const T* HWY_RESTRICT panel,
                          std::int64_t panel_stride, std::int64_t size, bool first, float* HWY_RESTRICT sums,
                          std::int64_t sums_stride) {
  Vector total[Rows][Panels][tile_vectors];
  for (std::size_t r = 0; r < Rows; ++r)
    for (std::size_t p = 0; p < Panels; ++p)
      for (std::size_t v = 0; v < tile_vectors; ++v)
        total[r][p][v] = hn::Zero(F32());
  for (std::int64_t k = 0; k < size; ++k) {
    Vector weight[Panels][tile_vectors];
    for (std::size_t p = 0; p < Panels; ++p)
      for (std::size_t v = 0; v < tile_vectors; ++v)
        weight[p][v] = widen(panel + static_cast<std::int64_t>(p) * panel_stride + k * panel_width + v * lanes);
    for (std::size_t r = 0; r < Rows; ++r) {
      const auto x = hn::Set(F32(), in[static_cast<std::int64_t>(r) * in_stride + k]);
      for (std::size_t p = 0; p < Panels; ++p)
        for (std::size_t v = 0; v < tile_vectors; ++v)
          total[r][p][v] = hn::MulAdd(x, weight[p][v], total[r][p][v]);
    }
  }
  for (std::size_t r = 0; r < Rows; ++r)
    for (std::size_t p = 0; p < Panels; ++p)
      for (std::size_t v = 0; v < tile_vectors; ++v) {
        float* to = sums + static_cast<std::int64_t>(r) * sums_stride + p * panel_width + v * lanes;
        narrow(first ? total[r][p][v] : hn::Add(widen(to), total[r][p][v]), to);
      }
}

// The same for whole panels.
template <class T, std::size_t Rows, std::size_t Panels>
void tile(const float* in, std::int64_t in_stride, const T* panel, std::int64_t panel_stride, std::int64_t size,
          bool first, float* sums, std::int64_t sums_stride) {
  for (std::size_t column = 0; column < panel_width; column += tile_columns)
    tile_part<T, Rows, Panels>(in, in_stride, panel + column, panel_stride, size, first, sums + column, sums_stride);
}

template <class T>
using Tile = void (*)(const float*, std::int64_t, const T*, std::int64_t, std::int64_t, bool, float*, std::int64_t);

template <class T, std::size_t... Rows>
constexpr std::array<Tile<T>, sizeof...(Rows)> one_panel_tiles(std::index_sequence<Rows...>) {
  return {&tile<T, Rows + 1, 1>...};
}

template <class T>
void one_panel(const LinearPart& part, std::int64_t p) {
  static constexpr auto tiles = one_panel_tiles<T>(std::make_index_sequence<tile_rows>());
  static constexpr auto wide_tiles = one_panel_tiles<float>(std::make_index_sequence<tile_rows>());
  const auto limit = static_cast<std::int64_t>(tile_rows);
  const std::int64_t tile_count = (part.rows + limit - 1) / limit;
  const T* panel = static_cast<const T*>(part.panels) + p * part.columns * panel_width;
  const std::int64_t stride = part.panel_count * panel_width;
  for (std::int64_t k = 0; k < part.columns; k += sum_block) {
    const std::int64_t size = std::min(sum_block, part.columns - k);
    const T* block = panel + k * panel_width;
    // Widening pays once several tiles read the block.
    const bool widens = !std::is_same_v<T, float> && tile_count > 1;
    if (widens) widen_row(block, part.widened, static_cast<std::size_t>(size * panel_width));
    for (std::int64_t t = 0; t < tile_count; ++t) {
      const std::int64_t row = part.rows * t / tile_count;  // tiles of about the same height
      const auto height = static_cast<std::size_t>(part.rows * (t + 1) / tile_count - row);
      const float* in = part.in + row * part.in_stride + k;
      float* sums = part.sums + row * stride + p * panel_width;
      if (widens)
        wide_tiles[height - 1](in, part.in_stride, part.widened, 0, size, k == 0, sums, stride);
      else
        tiles[height - 1](in, part.in_stride, block, 0, size, k == 0, sums, stride);
    }
  }
}

// One or two rows: several panels side by side, or the adder's latency would show.
template <class T, std::size_t Rows, std::size_t Panels>
void few_rows(const LinearPart& part, std::int64_t p) {
  const std::int64_t panel_size = part.columns * panel_width;
  const T* panel = static_cast<const T*>(part.panels) + p * panel_size;
  for (std::int64_t k = 0; k < part.columns; k += sum_block)
    tile<T, Rows, Panels>(part.in + k, part.in_stride, panel + k * panel_width, panel_size,
                          std::min(sum_block, part.columns - k), k == 0, part.sums + p * panel_width,
                          part.panel_count * panel_width);
}

template <class T>
void multiply(const LinearPart& part) {
  std::int64_t p = 0;
  if (part.rows == 1)
    for (; p + 4 <= part.panel_count; p += 4)
      few_rows<T, 1, 4>(part, p);
  if (part.rows == 1)
    for (; p + 2 <= part.panel_count; p += 2)
      few_rows<T, 1, 2>(part, p);
  if (part.rows == 2)
    for (; p + 2 <= part.panel_count; p += 2)
      few_rows<T, 2, 2>(part, p);
  for (; p < part.panel_count; ++p)
    one_panel<T>(part, p);
}

template <class Out>
void finish(const LinearPart& part) {
  const auto size = static_cast<std::size_t>(part.out_columns);
  for (std::int64_t row = 0; row < part.rows; ++row) {
    const float* sums = part.sums + row * part.panel_count * panel_width;
    Out* out = static_cast<Out*>(part.out) + row * part.out_stride;
    const auto value = [&](std::size_t i, Vector before) HWY_ATTR {
      auto sum = widen(sums + i);  // the sums' padding makes whole vectors of the last
      if (part.bias != nullptr) sum = hn::Add(sum, widen(part.bias + i));
      return part.add ? hn::Add(before, sum) : sum;
    };
    for_each_vector(
        size, [&](std::size_t i) HWY_ATTR { narrow(value(i, part.add ? widen(out + i) : hn::Zero(F32())), out + i); },
        [&](std::size_t i, std::size_t count) HWY_ATTR {
          narrow_some(value(i, part.add ? widen_some(out + i, count) : hn::Zero(F32())), out + i, count);
        });
  }
}

void linear(const LinearPart& part) {
  switch (part.type) {
    case DType::f16: multiply<f16>(part); break;
    case DType::bf16: multiply<bf16>(part); break;
    default: multiply<float>(part);
  }
  switch (part.out_type) {
    case DType::f16: finish<f16>(part); break;
    case DType::bf16: finish<bf16>(part); break;
    default: finish<float>(part);
  }
}

// 1 / (1 + e^-x); e^-x leaves f32 below -88, where the quotient is as good as 0.
HWY_INLINE Vector sigmoid(Vector x) {
  const auto one = hn::Set(F32(), 1);
  const auto bound = hn::Set(F32(), -88);
  const auto quotient = hn::Div(one, hn::Add(one, hn::Exp(F32(), hn::Neg(hn::Max(x, bound)))));
  return hn::IfThenZeroElse(hn::Lt(x, bound), quotient);
}

HWY_INLINE Vector gelu(Vector x) {
  HWY_ALIGN float values[lanes];
  hn::Store(x, F32(), values);
  for (float& value : values)
    value = 0.5f * value * std::erfc(-value * 0.70710678f);
  return hn::Load(F32(), values);
}

HWY_INLINE Vector activated(Activation activation, Vector x) {
  if (activation == Activation::silu) return hn::Mul(x, sigmoid(x));
  if (activation == Activation::gelu) return gelu(x);
  // (1 + tanh(u)) / 2 is the sigmoid of 2u, u = sqrt(2 / pi) (x + 0.044715 x^3): Hendrycks and Gimpel 2016, section 2.
  const auto cube = hn::Mul(hn::Mul(x, x), x);
  const auto u = hn::Mul(hn::MulAdd(hn::Set(F32(), 0.044715f), cube, x), hn::Set(F32(), 2 * 0.79788456f));
  return hn::Mul(x, sigmoid(u));
}

template <class Out>
void gate_row(Activation activation, const float* in, std::size_t size, Out* out) {
  for_each_vector(
      size,
      [&](std::size_t i)
          HWY_ATTR { narrow(hn::Mul(activated(activation, widen(in + i)), widen(in + size + i)), out + i); },
      [&](std::size_t i, std::size_t count) HWY_ATTR {
        const auto up = widen_some(in + size + i, count);
        narrow_some(hn::Mul(activated(activation, widen_some(in + i, count)), up), out + i, count);
      });
}

void gate(Activation activation, const float* in, std::int64_t size, void* out, DType out_type) {
  const auto count = static_cast<std::size_t>(size);
  switch (out_type) {
    case DType::f16: gate_row(activation, in, count, static_cast<f16*>(out)); break;
    case DType::bf16: gate_row(activation, in, count, static_cast<bf16*>(out)); break;
    default: gate_row(activation, in, count, static_cast<float*>(out));
  }
}

const LinearKernels* table() {
  static constexpr LinearKernels kernels{.tile_rows = tile_rows, .linear = &linear, .gate = &gate};
  return &kernels;
}

}  // namespace
const LinearKernels* linear_table() { return table(); }
}  // namespace HWY_NAMESPACE
}  // namespace weft
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft {
HWY_EXPORT(linear_table);
const LinearKernels& linear_kernels() { return *HWY_DYNAMIC_DISPATCH(linear_table)(); }
}  // namespace weft
#endif
