#include "plugins/comm_gloo/reduce.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace weft::comm_gloo {
namespace {

constexpr std::size_t block = 1024;  // elements: the accumulators stay in the first-level cache

// Integers accumulate unsigned where the sum may wrap: signed overflow is undefined.
template <class T>
struct Accumulator {
  using type = T;
};
template <>
struct Accumulator<bf16> {
  using type = float;
};
template <>
struct Accumulator<f16> {
  using type = float;
};

template <class T>
typename Accumulator<T>::type widen(T value) noexcept {
  if constexpr (std::is_arithmetic_v<T>) {
    return value;
  } else {
    return to_f32(value);
  }
}

template <class T>
T narrow(typename Accumulator<T>::type value) noexcept {
  if constexpr (std::is_arithmetic_v<T>) {
    return value;
  } else {
    return from_f32<T>(value);
  }
}

template <class A, ReduceOp op>
A combine(A left, A right) noexcept {
  if constexpr (op == ReduceOp::max) {
    return left < right ? right : left;
  } else if constexpr (op == ReduceOp::min) {
    return right < left ? right : left;
  } else if constexpr (std::is_integral_v<A>) {
    using U = std::make_unsigned_t<A>;
    return static_cast<A>(static_cast<U>(static_cast<U>(left) + static_cast<U>(right)));
  } else {
    return left + right;
  }
}

template <class T, ReduceOp op>
void reduce_typed(std::span<const std::byte* const> sources, std::size_t count, std::byte* destination) noexcept {
  using A = typename Accumulator<T>::type;
  T loaded[block];
  A sums[block];
  for (std::size_t start = 0; start < count; start += block) {
    const std::size_t length = std::min(block, count - start);
    std::memcpy(loaded, sources[0] + start * sizeof(T), length * sizeof(T));
    for (std::size_t i = 0; i < length; ++i)
      sums[i] = widen(loaded[i]);
    for (const std::byte* source : sources.subspan(1)) {
      std::memcpy(loaded, source + start * sizeof(T), length * sizeof(T));
      for (std::size_t i = 0; i < length; ++i)
        sums[i] = combine<A, op>(sums[i], widen(loaded[i]));
    }
    for (std::size_t i = 0; i < length; ++i)
      loaded[i] = narrow<T>(sums[i]);
    std::memcpy(destination + start * sizeof(T), loaded, length * sizeof(T));
  }
}

template <class T>
void reduce_op(ReduceOp op, std::span<const std::byte* const> sources, std::size_t count,
               std::byte* destination) noexcept {
  switch (op) {
    case ReduceOp::sum: return reduce_typed<T, ReduceOp::sum>(sources, count, destination);
    case ReduceOp::max: return reduce_typed<T, ReduceOp::max>(sources, count, destination);
    case ReduceOp::min: return reduce_typed<T, ReduceOp::min>(sources, count, destination);
  }
}

}  // namespace

void reduce_in_rank_order(DType type, ReduceOp op, std::span<const std::byte* const> sources, std::size_t count,
                          std::byte* destination) noexcept {
  switch (type) {
    case DType::f32: return reduce_op<float>(op, sources, count, destination);
    case DType::f16: return reduce_op<f16>(op, sources, count, destination);
    case DType::bf16: return reduce_op<bf16>(op, sources, count, destination);
    case DType::i32: return reduce_op<std::int32_t>(op, sources, count, destination);
    case DType::i64: return reduce_op<std::int64_t>(op, sources, count, destination);
    case DType::u8: return reduce_op<std::uint8_t>(op, sources, count, destination);
  }
}

}  // namespace weft::comm_gloo
