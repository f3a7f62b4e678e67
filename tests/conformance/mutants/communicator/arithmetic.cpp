#include "tests/conformance/mutants/communicator/arithmetic.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "tests/conformance/mutants/communicator/switches.h"

namespace mutant {
namespace {

template <class T>
T load(const std::byte* from, std::size_t at) {
  T value;
  std::memcpy(&value, from + at * sizeof(T), sizeof(T));
  return value;
}

template <class T>
bool less(T a, T b) {
  if constexpr (std::is_same_v<T, std::uint8_t>)
    if (breaks("u8_is_signed")) return static_cast<std::int8_t>(a) < static_cast<std::int8_t>(b);
  return a < b;
}

template <class T>
T combine(weft::ReduceOp op, T a, T b) {
  if (op == weft::ReduceOp::max) return less(a, b) ? b : a;
  if (op == weft::ReduceOp::min) return less(b, a) ? b : a;
  if constexpr (std::is_integral_v<T>) {
    if (breaks("integers_through_f32")) return static_cast<T>(static_cast<float>(a) + static_cast<float>(b));
    return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  } else {
    if (breaks("nan_is_zero") && (std::isnan(a) || std::isnan(b))) return 0;
    return a + b;
  }
}

// The order of the sum: rank 0 first.
std::vector<std::size_t> order_of(std::size_t ranks, std::size_t own, std::size_t count) {
  std::vector<std::size_t> order(ranks);
  for (std::size_t at = 0; at < ranks; ++at)
    order[at] = breaks("sum_backwards") ? ranks - 1 - at : breaks("own_part_first") ? (own + at) % ranks : at;
  if (breaks("order_by_length") && count < 1000) std::reverse(order.begin(), order.end());
  return order;
}

template <class T>
void reduce_as(weft::ReduceOp op, std::span<const std::byte* const> sources, std::span<const std::size_t> order,
               std::size_t count, std::byte* out) {
  for (std::size_t at = 0; at < count; ++at) {
    T result;
    if constexpr (std::is_arithmetic_v<T>) {
      result = load<T>(sources[order[0]], at);
      for (const std::size_t rank : order.subspan(1))
        result = combine(op, result, load<T>(sources[rank], at));
    } else {
      float wide = weft::to_f32(load<T>(sources[order[0]], at));
      for (const std::size_t rank : order.subspan(1)) {
        wide = combine(op, wide, weft::to_f32(load<T>(sources[rank], at)));
        if (breaks("rounds_each_step")) wide = weft::to_f32(weft::from_f32<T>(wide));
      }
      result = weft::from_f32<T>(wide);
    }
    std::memcpy(out + at * sizeof(T), &result, sizeof(T));
  }
}

}  // namespace

void reduce(weft::DType type, weft::ReduceOp op, std::span<const std::byte* const> sources, std::size_t own,
            std::size_t count, std::byte* out) {
  const std::vector<std::size_t> order = order_of(sources.size(), own, count);
  switch (type) {
    case weft::DType::f32: return reduce_as<float>(op, sources, order, count, out);
    case weft::DType::f16: return reduce_as<weft::f16>(op, sources, order, count, out);
    case weft::DType::bf16: return reduce_as<weft::bf16>(op, sources, order, count, out);
    case weft::DType::i32: return reduce_as<std::int32_t>(op, sources, order, count, out);
    case weft::DType::i64: return reduce_as<std::int64_t>(op, sources, order, count, out);
    case weft::DType::u8: return reduce_as<std::uint8_t>(op, sources, order, count, out);
  }
}

}  // namespace mutant
