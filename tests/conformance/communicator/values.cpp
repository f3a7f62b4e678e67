#include "tests/conformance/communicator/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

namespace weft::conformance {
namespace {

// splitmix64 (Steele, Lea, Flood 2014).
std::uint64_t mixed(std::uint64_t state) {
  state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
  state = (state ^ (state >> 27)) * 0x94D049BB133111EBu;
  return state ^ (state >> 31);
}

// Calls `use` with the type that stores elements.
template <class Use>
auto with_type(DType type, const Use& use) {
  switch (type) {
    case DType::f32: return use(float{});
    case DType::f16: return use(f16{});
    case DType::bf16: return use(bf16{});
    case DType::i32: return use(std::int32_t{});
    case DType::i64: return use(std::int64_t{});
    case DType::u8: break;
  }
  return use(std::uint8_t{});
}

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <class T>
constexpr bool is_integer = std::is_integral_v<T>;

template <class T>
T combine(ReduceOp op, T a, T b) {
  if (op == ReduceOp::max) return b > a ? b : a;
  if (op == ReduceOp::min) return b < a ? b : a;
  if constexpr (is_integer<T>)
    return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  else
    return a + b;
}

// Half a unit in the last place of the stored type, at this magnitude: what one rounding may do.
double half_ulp(DType type, double magnitude) {
  const int digits = type == DType::f32 ? 24 : type == DType::f16 ? 11 : 8;
  const double least = type == DType::f16 ? 0x1p-14 : 0x1p-126;
  return std::ldexp(std::max(magnitude, least), -digits);
}

template <class T>
void reduce_element(DType type, ReduceOp op, std::span<const Data> ranks, std::size_t at, Reduced& result) {
  if constexpr (is_integer<T>) {
    T value = load<T>(ranks[0].data() + at * sizeof(T));
    for (const Data& rank : ranks.subspan(1))
      value = combine(op, value, load<T>(rank.data() + at * sizeof(T)));
    std::memcpy(result.exact.data() + at * sizeof(T), &value, sizeof(T));
  } else {
    float value = to_f32(load<T>(ranks[0].data() + at * sizeof(T)));
    double magnitudes = std::fabs(value);
    for (const Data& rank : ranks.subspan(1)) {
      const float other = to_f32(load<T>(rank.data() + at * sizeof(T)));
      value = combine(op, value, other);
      magnitudes += std::fabs(other);
    }
    const T stored = from_f32<T>(value);
    std::memcpy(result.exact.data() + at * sizeof(T), &stored, sizeof(T));
    // Higham, Accuracy and Stability, section 4.2: any order is off by (n - 1) u sum |x| at most, ours and theirs both; and each
    // is rounded once.
    if (op == ReduceOp::sum)
      result.bounds[at] = static_cast<float>(2.0 * static_cast<double>(ranks.size()) * 0x1p-24 * magnitudes +
                                             2.0 * half_ulp(type, std::fabs(value) + 0x1p-20 * magnitudes));
  }
}

}  // namespace

const char* to_string(ReduceOp op) noexcept {
  return op == ReduceOp::sum ? "sum" : op == ReduceOp::max ? "max" : "min";
}

Data data_of(DType type, std::uint64_t salt, std::size_t count) {
  Data data(count * size_of(type));
  std::uint64_t state = (salt + 1) * 0x9E3779B97F4A7C15u;
  with_type(type, [&]<class T>(T) {
    for (std::size_t at = 0; at < count; ++at, state += 0x9E3779B97F4A7C15u) {
      const std::uint64_t bits = mixed(state);
      T value;
      if constexpr (is_integer<T>) {
        value = static_cast<T>(bits);
      } else {
        // +-(1 .. 2) * 2^(-6 .. 6)
        const float unit = 1.0f + static_cast<float>(bits & 0x7fffff) * 0x1p-23f;
        const float magnitude = std::ldexp(unit, static_cast<int>((bits >> 24) % 13) - 6);
        value = from_f32<T>((bits >> 40 & 1) != 0 ? -magnitude : magnitude);
      }
      std::memcpy(data.data() + at * sizeof(T), &value, sizeof(T));
    }
  });
  return data;
}

void put(std::byte* to, DType type, double value) {
  with_type(type, [&]<class T>(T) {
    T stored;
    if constexpr (is_integer<T>)
      stored = static_cast<T>(value);
    else
      stored = from_f32<T>(static_cast<float>(value));
    std::memcpy(to, &stored, sizeof(T));
  });
}

double get(const std::byte* from, DType type) {
  return with_type(type, [&]<class T>(T) -> double {
    if constexpr (is_integer<T>)
      return static_cast<double>(load<T>(from));
    else
      return static_cast<double>(to_f32(load<T>(from)));
  });
}

Reduced reduce(DType type, ReduceOp op, std::span<const Data> ranks) {
  const std::size_t count = ranks[0].size() / size_of(type);
  Reduced result{.exact = Data(ranks[0].size()), .bounds = {}};
  if (is_float(type) && op == ReduceOp::sum) result.bounds.resize(count);
  with_type(type, [&]<class T>(T) {
    for (std::size_t at = 0; at < count; ++at)
      reduce_element<T>(type, op, ranks, at, result);
  });
  return result;
}

std::string difference(DType type, const Reduced& expected, std::span<const std::byte> found, bool ordered) {
  if (ordered || expected.bounds.empty()) return difference(type, expected.exact, found);
  const std::size_t width = size_of(type);
  for (std::size_t at = 0; at < expected.bounds.size(); ++at) {
    const double right = get(expected.exact.data() + at * width, type);
    const double value = get(found.data() + at * width, type);
    if (std::fabs(value - right) <= static_cast<double>(expected.bounds[at])) continue;
    return fmt::format("element {} of {} is {}, expected {} +- {}", at, expected.bounds.size(), value, right,
                       expected.bounds[at]);
  }
  return {};
}

std::string difference(DType type, std::span<const std::byte> expected, std::span<const std::byte> found) {
  if (expected.size() != found.size()) return fmt::format("{} bytes, expected {}", found.size(), expected.size());
  if (expected.empty() || std::memcmp(expected.data(), found.data(), expected.size()) == 0) return {};
  const auto at = static_cast<std::size_t>(std::mismatch(expected.begin(), expected.end(), found.begin()).first -
                                           expected.begin()) /
                  size_of(type);
  const double right = get(expected.data() + at * size_of(type), type);
  const double value = get(found.data() + at * size_of(type), type);
  return fmt::format("element {} of {} is {:.9g}, expected {:.9g}{}", at, expected.size() / size_of(type), value, right,
                     value == right ? " (the bits differ)" : "");
}

std::uint64_t hash_of(std::span<const std::byte> bytes) noexcept {
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (const std::byte byte : bytes)
    hash = (hash ^ static_cast<std::uint64_t>(byte)) * 1099511628211U;
  return hash;
}

}  // namespace weft::conformance
