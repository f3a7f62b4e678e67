#include "plugins/common/reduce_floats.h"

#include <cstdint>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "plugins/common/reduce_floats.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace weft::plugins {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using F = hn::ScalableTag<float>;
using U = hn::RebindToUnsigned<F>;
using I = hn::RebindToSigned<F>;
using Half = hn::Rebind<std::uint16_t, F>;  // as many 16-bit lanes as there are floats
using Floats = hn::Vec<F>;
using Words = hn::Vec<U>;

Words select(hn::Mask<U> where, Words yes, Words no) { return hn::IfThenElse(where, yes, no); }

// Widening and narrowing as in weft/dtype.h, lane by lane and bit by bit: the machine's own conversions treat NaNs
// each in its way, and ranks may run on different machines.
struct F32 {
  using Stored = float;
  static Floats load(const Stored* from) { return hn::LoadU(F(), from); }
  static void store(Floats value, Stored* to) { hn::StoreU(value, F(), to); }
};

Words load_words(const std::uint16_t* from) { return hn::PromoteTo(U(), hn::LoadU(Half(), from)); }
void store_words(Words value, std::uint16_t* to) {
  hn::StoreU(hn::DemoteTo(Half(), hn::BitCast(I(), value)), Half(), to);  // saturates, but all are below 2^16
}

struct Bf16 {
  using Stored = std::uint16_t;
  static Floats load(const Stored* from) { return hn::BitCast(F(), hn::ShiftLeft<16>(load_words(from))); }
  static void store(Floats value, Stored* to) {
    const U u;
    const Words bits = hn::BitCast(u, value);
    const Words high = hn::ShiftRight<16>(bits);
    const Words tie = hn::Add(hn::And(high, hn::Set(u, 1u)), hn::Set(u, 0x7fffu));
    const Words rounded = hn::ShiftRight<16>(hn::Add(bits, tie));
    const auto is_nan = hn::RebindMask(u, hn::IsNaN(value));
    store_words(select(is_nan, hn::Or(high, hn::Set(u, 0x40u)), rounded), to);
  }
};

struct F16 {
  using Stored = std::uint16_t;
  static Floats load(const Stored* from) {
    const U u;
    const Words bits = load_words(from);
    const Words sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(u, 0x8000u)));
    const Words magnitude = hn::And(bits, hn::Set(u, 0x7fffu));
    const Words shifted = hn::ShiftLeft<13>(magnitude);
    const auto count = hn::ConvertTo(F(), hn::BitCast(I(), magnitude));
    const Words tiny = hn::BitCast(u, hn::Mul(count, hn::Set(F(), 0x1p-24f)));
    const Words normal = hn::Add(shifted, hn::Set(u, 112u << 23));
    const Words special = hn::Or(shifted, hn::Set(u, 0x7f800000u));
    const Words finite = select(hn::Lt(magnitude, hn::Set(u, 0x400u)), tiny, normal);
    return hn::BitCast(F(), hn::Or(sign, select(hn::Lt(magnitude, hn::Set(u, 0x7c00u)), finite, special)));
  }
  static void store(Floats value, Stored* to) {
    const U u;
    const Words bits = hn::BitCast(u, value);
    const Words sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 0x8000u));
    const Words magnitude = hn::And(bits, hn::Set(u, 0x7fffffffu));
    const Words tie = hn::Add(hn::And(hn::ShiftRight<13>(magnitude), hn::Set(u, 1u)), hn::Set(u, 0xfffu));
    const Words normal = hn::ShiftRight<13>(hn::Sub(hn::Add(magnitude, tie), hn::Set(u, 0x38000000u)));
    const Words shifted = hn::BitCast(u, hn::Add(hn::BitCast(F(), magnitude), hn::Set(F(), 0.5f)));
    const Words tiny = hn::Sub(shifted, hn::Set(u, 0x3f000000u));
    const Words finite = select(hn::Lt(magnitude, hn::Set(u, 0x38800000u)), tiny, normal);
    const Words special = select(hn::Gt(magnitude, hn::Set(u, 0x7f800000u)), hn::Set(u, 0x7e00u), hn::Set(u, 0x7c00u));
    store_words(hn::Or(sign, select(hn::Lt(magnitude, hn::Set(u, 0x477ff000u)), finite, special)), to);
  }
};

template <ReduceOp op>
Floats combine(Floats left, Floats right) {
  if constexpr (op == ReduceOp::sum) return hn::Add(left, right);
  if constexpr (op == ReduceOp::max) return hn::IfThenElse(hn::Lt(left, right), right, left);
  if constexpr (op == ReduceOp::min) return hn::IfThenElse(hn::Lt(right, left), right, left);
}

template <class Element, ReduceOp op>
void reduce(std::span<const std::byte* const> sources, std::size_t count, std::byte* destination) {
  using Stored = typename Element::Stored;
  const std::size_t lanes = hn::Lanes(F());
  const auto* first = reinterpret_cast<const Stored*>(sources[0]);
  auto* out = reinterpret_cast<Stored*>(destination);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    Floats sum = Element::load(first + i);
    for (const std::byte* source : sources.subspan(1))
      sum = combine<op>(sum, Element::load(reinterpret_cast<const Stored*>(source) + i));
    Element::store(sum, out + i);
  }
  if (i == count) return;
  // The rest goes the same way, through a vector's worth of memory of our own.
  HWY_ALIGN Stored part[hn::MaxLanes(F())] = {};
  const std::size_t bytes = (count - i) * sizeof(Stored);
  std::memcpy(part, first + i, bytes);
  Floats sum = Element::load(part);
  for (const std::byte* source : sources.subspan(1)) {
    std::memcpy(part, reinterpret_cast<const Stored*>(source) + i, bytes);
    sum = combine<op>(sum, Element::load(part));
  }
  Element::store(sum, part);
  std::memcpy(out + i, part, bytes);
}

template <class Element>
void reduce_with(ReduceOp op, std::span<const std::byte* const> sources, std::size_t count, std::byte* destination) {
  switch (op) {
    case ReduceOp::sum: return reduce<Element, ReduceOp::sum>(sources, count, destination);
    case ReduceOp::max: return reduce<Element, ReduceOp::max>(sources, count, destination);
    case ReduceOp::min: return reduce<Element, ReduceOp::min>(sources, count, destination);
  }
}

void reduce_floats_here(DType type, ReduceOp op, std::span<const std::byte* const> sources, std::size_t count,
                        std::byte* destination) {
  if (type == DType::f32) return reduce_with<F32>(op, sources, count, destination);
  if (type == DType::bf16) return reduce_with<Bf16>(op, sources, count, destination);
  if (type == DType::f16) return reduce_with<F16>(op, sources, count, destination);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace weft::plugins
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::plugins {

HWY_EXPORT(reduce_floats_here);

void reduce_floats(DType type, ReduceOp op, std::span<const std::byte* const> sources, std::size_t count,
                   std::byte* destination) noexcept {
  HWY_DYNAMIC_DISPATCH(reduce_floats_here)(type, op, sources, count, destination);
}

}  // namespace weft::plugins
#endif
