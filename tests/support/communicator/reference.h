// What collectives should give, computed naively, and data to give them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "weft/communicator.h"
#include "weft/dtype.h"

namespace weft::test {

using Data = std::vector<std::byte>;

inline constexpr DType all_types[] = {DType::f32, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8};

// Element `i` of rank `rank`: magnitudes differ so much that the order of a float sum shows in its bits.
inline void put_element(std::byte* to, DType type, std::int32_t rank, std::size_t i) {
  std::uint64_t state = (static_cast<std::uint64_t>(rank) + 1) * 0x9E3779B97F4A7C15u + i * 0xD1B54A32D192ED03u;
  state ^= state >> 29;
  state *= 0xBF58476D1CE4E5B9u;
  state ^= state >> 32;
  const float unit = static_cast<float>(state & 0xffffff) / 8388608.0f - 1.0f;
  const float value = std::ldexp(unit, static_cast<int>((state >> 24) % 13) - 4);
  const auto put = [to](auto element) { std::memcpy(to, &element, sizeof(element)); };
  switch (type) {
    case DType::f32: return put(value);
    case DType::f16: return put(to_f16(value));
    case DType::bf16: return put(to_bf16(value));
    case DType::i32: return put(static_cast<std::int32_t>(state >> 16));
    case DType::i64: return put(static_cast<std::int64_t>(state));
    case DType::u8: return put(static_cast<std::uint8_t>(state));
  }
}

inline Data data_of(DType type, std::int32_t rank, std::size_t count) {
  Data data(count * size_of(type));
  for (std::size_t i = 0; i < count; ++i)
    put_element(data.data() + i * size_of(type), type, rank, i);
  return data;
}

template <class T>
T reduce_elements(ReduceOp op, const std::vector<T>& values) {
  if constexpr (std::is_same_v<T, f16> || std::is_same_v<T, bf16>) {
    std::vector<float> wide;
    for (const T value : values)
      wide.push_back(to_f32(value));
    return from_f32<T>(reduce_elements(op, wide));
  } else {
    T result = values[0];
    for (std::size_t r = 1; r < values.size(); ++r) {
      if (op == ReduceOp::max) result = values[r] > result ? values[r] : result;
      if (op == ReduceOp::min) result = values[r] < result ? values[r] : result;
      if (op == ReduceOp::sum) {
        if constexpr (std::is_integral_v<T>)
          result = static_cast<T>(static_cast<std::uint64_t>(result) + static_cast<std::uint64_t>(values[r]));
        else
          result = result + values[r];
      }
    }
    return result;
  }
}

template <class T>
Data reduced_as(ReduceOp op, std::int32_t ranks, std::size_t count, DType type) {
  Data result(count * sizeof(T));
  std::vector<T> values(static_cast<std::size_t>(ranks));
  for (std::size_t i = 0; i < count; ++i) {
    for (std::int32_t rank = 0; rank < ranks; ++rank)
      put_element(reinterpret_cast<std::byte*>(&values[static_cast<std::size_t>(rank)]), type, rank, i);
    const T element = reduce_elements(op, values);
    std::memcpy(result.data() + i * sizeof(T), &element, sizeof(T));
  }
  return result;
}

// The reduction, in rank order, of data_of() each rank.
inline Data reduced(DType type, ReduceOp op, std::int32_t ranks, std::size_t count) {
  switch (type) {
    case DType::f32: return reduced_as<float>(op, ranks, count, type);
    case DType::f16: return reduced_as<f16>(op, ranks, count, type);
    case DType::bf16: return reduced_as<bf16>(op, ranks, count, type);
    case DType::i32: return reduced_as<std::int32_t>(op, ranks, count, type);
    case DType::i64: return reduced_as<std::int64_t>(op, ranks, count, type);
    case DType::u8: return reduced_as<std::uint8_t>(op, ranks, count, type);
  }
  return {};
}

// A buffer between two strips of sentinels, which nothing may touch.
class Guarded {
 public:
  explicit Guarded(std::size_t bytes) : memory_(bytes + 2 * strip, sentinel) {}
  explicit Guarded(const Data& data) : Guarded(data.size()) {
    if (!data.empty()) std::memcpy(memory_.data() + strip, data.data(), data.size());
  }
  Buffer buffer() { return {.data = memory_.data() + strip, .size = memory_.size() - 2 * strip}; }
  Data data() const {
    return {memory_.begin() + static_cast<std::ptrdiff_t>(strip), memory_.end() - static_cast<std::ptrdiff_t>(strip)};
  }
  bool intact() const {
    for (std::size_t i = 0; i < strip; ++i)
      if (memory_[i] != sentinel || memory_[memory_.size() - 1 - i] != sentinel) return false;
    return true;
  }

 private:
  static constexpr std::size_t strip = 64;
  static constexpr std::byte sentinel{0xA5};
  std::vector<std::byte> memory_;
};

}  // namespace weft::test
