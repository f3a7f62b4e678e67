#include "plugins/common/reduce.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "plugins/common/reduce_floats.h"

namespace weft::plugins {
namespace {

template <class T, ReduceOp op>
T combine(T left, T right) noexcept {
  if constexpr (op == ReduceOp::max) return left < right ? right : left;
  if constexpr (op == ReduceOp::min) return right < left ? right : left;
  using U = std::make_unsigned_t<T>;  // the sum of signed ones must not overflow
  return static_cast<T>(static_cast<U>(static_cast<U>(left) + static_cast<U>(right)));
}

template <class T, ReduceOp op>
void reduce_integers(std::span<const std::byte* const> sources, std::size_t count, std::byte* destination) noexcept {
  constexpr std::size_t block = 1024;  // elements: what is summed stays in the first-level cache
  T loaded[block];
  T sums[block];
  for (std::size_t start = 0; start < count; start += block) {
    const std::size_t length = std::min(block, count - start);
    const std::size_t offset = start * sizeof(T);
    std::memcpy(sums, sources[0] + offset, length * sizeof(T));
    for (const std::byte* source : sources.subspan(1)) {
      std::memcpy(loaded, source + offset, length * sizeof(T));
      for (std::size_t i = 0; i < length; ++i)
        sums[i] = combine<T, op>(sums[i], loaded[i]);
    }
    std::memcpy(destination + offset, sums, length * sizeof(T));
  }
}

template <class T>
void reduce_with(ReduceOp op, std::span<const std::byte* const> sources, std::size_t count,
                 std::byte* destination) noexcept {
  switch (op) {
    case ReduceOp::sum: return reduce_integers<T, ReduceOp::sum>(sources, count, destination);
    case ReduceOp::max: return reduce_integers<T, ReduceOp::max>(sources, count, destination);
    case ReduceOp::min: return reduce_integers<T, ReduceOp::min>(sources, count, destination);
  }
}

}  // namespace

void reduce_in_rank_order(DType type, ReduceOp op, std::span<const std::byte* const> sources, std::size_t count,
                          std::byte* destination) noexcept {
  switch (type) {
    case DType::f32:
    case DType::f16:
    case DType::bf16: return reduce_floats(type, op, sources, count, destination);
    case DType::i32: return reduce_with<std::int32_t>(op, sources, count, destination);
    case DType::i64: return reduce_with<std::int64_t>(op, sources, count, destination);
    case DType::u8: return reduce_with<std::uint8_t>(op, sources, count, destination);
  }
}

}  // namespace weft::plugins
