// Vectors of at most 16 f32, and the ways of the three float types into and out of them. Compiled once a SIMD target:
// included, like every *-inl.h of Highway, inside a file that foreach_target.h includes again and again.
#if defined(WEFT_KERNELS_CPU_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_KERNELS_CPU_SIMD_INL_H
#undef WEFT_KERNELS_CPU_SIMD_INL_H
#else
#define WEFT_KERNELS_CPU_SIMD_INL_H
#endif

#include <cstddef>
#include <cstdint>

#include <hwy/highway.h>

#include "weft/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace weft {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, 16>;
using U32 = hn::RebindToUnsigned<F32>;
using I32 = hn::RebindToSigned<F32>;
using U16 = hn::Rebind<std::uint16_t, F32>;
using Vector = hn::Vec<F32>;

inline constexpr std::size_t lanes = hn::MaxLanes(F32());

HWY_INLINE Vector widen(const float* from) { return hn::LoadU(F32(), from); }

HWY_INLINE Vector widen(const bf16* from) {
  const auto bits = hn::LoadU(U16(), reinterpret_cast<const std::uint16_t*>(from));
  return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::PromoteTo(I32(), bits)));
}

HWY_INLINE Vector widen(const f16* from) {
  const auto bits = hn::LoadU(U16(), reinterpret_cast<const std::uint16_t*>(from));
#if HWY_TARGET <= HWY_AVX2
  return hn::PromoteTo(F32(), hn::BitCast(hn::Rebind<hwy::float16_t, F32>(), bits));
#else
  // The exponent is 112 too small after the shift; the product is exact, of subnormals too. Infinities and NaN are not
  // numbers to multiply.
  const auto wide = hn::BitCast(U32(), hn::PromoteTo(I32(), bits));
  const auto magnitude = hn::And(wide, hn::Set(U32(), 0x7fff));
  const auto number = hn::Mul(hn::BitCast(F32(), hn::ShiftLeft<13>(magnitude)), hn::Set(F32(), 0x1p112f));
  const auto special = hn::Gt(hn::BitCast(I32(), magnitude), hn::Set(I32(), 0x7bff));
  const auto exponent = hn::IfThenElseZero(special, hn::Set(I32(), 0x7f800000));
  const auto sign = hn::ShiftLeft<16>(hn::And(wide, hn::Set(U32(), 0x8000)));
  return hn::Or(hn::Or(number, hn::BitCast(F32(), exponent)), hn::BitCast(F32(), sign));
#endif
}

HWY_INLINE void narrow(Vector value, float* to) { hn::StoreU(value, F32(), to); }

HWY_INLINE void narrow(Vector value, bf16* to) {
  const auto bits = hn::BitCast(U32(), value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(U32(), 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(U32(), 0x7fff))));
  const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(U32(), 0x40));
  const auto is_nan = hn::RebindMask(U32(), hn::Ne(value, value));
  hn::StoreU(hn::TruncateTo(U16(), hn::IfThenElse(is_nan, quiet, rounded)), U16(),
             reinterpret_cast<std::uint16_t*>(to));
}

HWY_INLINE void narrow(Vector value, f16* to) {
#if HWY_TARGET <= HWY_AVX2
  const auto half = hn::DemoteTo(hn::Rebind<hwy::float16_t, F32>(), value);
  hn::StoreU(hn::BitCast(U16(), half), U16(), reinterpret_cast<std::uint16_t*>(to));
#else
  // Highway's own way rounds towards zero on these targets.
  HWY_ALIGN float wide[lanes];
  hn::Store(value, F32(), wide);
  for (std::size_t i = 0; i < lanes; ++i)
    to[i] = to_f16(wide[i]);
#endif
}

// The first `count` < lanes elements; the other lanes are zero, and memory past the elements is not touched.
template <class T>
HWY_INLINE Vector widen_some(const T* from, std::size_t count) {
  HWY_ALIGN float wide[lanes] = {};
  for (std::size_t i = 0; i < count; ++i)
    wide[i] = to_f32(from[i]);
  return hn::Load(F32(), wide);
}
template <class T>
HWY_INLINE void narrow_some(Vector value, T* to, std::size_t count) {
  HWY_ALIGN float wide[lanes];
  hn::Store(value, F32(), wide);
  for (std::size_t i = 0; i < count; ++i)
    to[i] = from_f32<T>(wide[i]);
}

// function(offset, count): for whole vectors, then for what is left.
template <class Whole, class Some>
HWY_INLINE void for_each_vector(std::size_t size, Whole&& whole, Some&& some) {
  std::size_t i = 0;
  for (; i + lanes <= size; i += lanes)
    whole(i);
  if (i < size) some(i, size - i);
}

template <class T>
HWY_INLINE void widen_row(const T* from, float* to, std::size_t size) {
  for_each_vector(
      size, [&](std::size_t i) HWY_ATTR { narrow(widen(from + i), to + i); },
      [&](std::size_t i, std::size_t count) HWY_ATTR { narrow_some(widen_some(from + i, count), to + i, count); });
}
template <class T>
HWY_INLINE void narrow_row(const float* from, T* to, std::size_t size) {
  for_each_vector(
      size, [&](std::size_t i) HWY_ATTR { narrow(widen(from + i), to + i); },
      [&](std::size_t i, std::size_t count) HWY_ATTR { narrow_some(widen_some(from + i, count), to + i, count); });
}

}  // namespace HWY_NAMESPACE
}  // namespace weft
HWY_AFTER_NAMESPACE();

#endif
