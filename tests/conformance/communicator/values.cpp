#include "tests/conformance/communicator/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

namespace weft::conformance {
namespace {

// splitmix64's finaliser (Steele, Lea, Flood 2014): a permutation of 64 bits that mixes them all.
constexpr std::uint64_t mixed(std::uint64_t state) {
  state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
  state = (state ^ (state >> 27)) * 0x94D049BB133111EBu;
  return state ^ (state >> 31);
}
constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio, odd

constexpr std::uint64_t absorb(std::uint64_t key, std::uint64_t word) { return mixed((key ^ word) + golden); }

// An element's 64 bits. The index is mixed before the key comes in and again after it: were the key added to the index, all
// streams would be one, begun at different places.
constexpr std::uint64_t bits_of(std::uint64_t key, std::uint64_t index) {
  return mixed(mixed((index + 1) * golden) ^ key);
}

std::uint64_t stream_key(DType type, const Origin& origin) {
  std::uint64_t key = absorb(origin.key, static_cast<std::uint64_t>(type));
  for (const std::int32_t part : {origin.ranks, origin.from, origin.to})
    key = absorb(key, static_cast<std::uint32_t>(part));
  return absorb(key, static_cast<std::uint64_t>(origin.values));
}

// Bits of the significand, the hidden one among them.
constexpr int digits_of(DType type) { return type == DType::f32 ? 24 : type == DType::f16 ? 11 : 8; }

// +-(1 .. 2) * 2^(-6 .. 6)
float wide_float(std::uint64_t bits) {
  const auto exponent = static_cast<std::uint32_t>(127 - 6 + (bits >> 24) % 13);
  const auto sign = static_cast<std::uint32_t>(bits >> 40 & 1);
  return std::bit_cast<float>(sign << 31 | exponent << 23 | static_cast<std::uint32_t>(bits & 0x7fffff));
}

// +-(1 .. largest)
float whole_float(std::uint64_t bits, std::uint64_t largest) {
  const auto magnitude = static_cast<float>(1 + (bits >> 1) % largest);
  return (bits & 1) != 0 ? -magnitude : magnitude;
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

std::string shown(const std::byte* from, DType type) {
  return with_type(type, [&]<class T>(T) -> std::string {
    if constexpr (is_integer<T>)
      return fmt::format("{}", static_cast<std::int64_t>(load<T>(from)));
    else
      return fmt::format("{:.9g}", to_f32(load<T>(from)));
  });
}

// Half a unit in the last place of the stored type, at this magnitude: what one rounding may do.
double half_ulp(DType type, double magnitude) {
  const double least = type == DType::f16 ? 0x1p-14 : 0x1p-126;
  return std::ldexp(std::max(magnitude, least), -digits_of(type));
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

std::uint64_t key_of(std::uint64_t seed, std::string_view case_id, std::uint64_t call) noexcept {
  return absorb(absorb(mixed(seed), hash_of(std::as_bytes(std::span(case_id)))), call);
}

void fill(std::span<std::byte> to, DType type, const Origin& origin, std::size_t first) {
  const std::uint64_t key = stream_key(type, origin);
  const std::uint64_t largest =
      std::max<std::uint64_t>((std::uint64_t{1} << digits_of(type)) / static_cast<std::uint64_t>(origin.ranks), 1);
  with_type(type, [&]<class T>(T) {
    for (std::size_t at = 0; at < to.size() / sizeof(T); ++at) {
      const std::uint64_t bits = bits_of(key, first + at);
      T value;
      if constexpr (is_integer<T>)
        value = static_cast<T>(bits);
      else
        value = from_f32<T>(origin.values == Values::exact ? whole_float(bits, largest) : wide_float(bits));
      std::memcpy(to.data() + at * sizeof(T), &value, sizeof(T));
    }
  });
}

Data data_of(DType type, const Origin& origin, std::size_t count, std::size_t first) {
  Data data(count * size_of(type));
  fill(data, type, origin, first);
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

Mismatch mismatch(DType type, std::span<const std::byte> expected, std::span<const std::byte> found) {
  if (expected.empty() || std::memcmp(expected.data(), found.data(), expected.size()) == 0) return {};
  const std::size_t width = size_of(type);
  const auto at = static_cast<std::size_t>(std::mismatch(expected.begin(), expected.end(), found.begin()).first -
                                           expected.begin()) /
                  width;
  const std::string right = shown(expected.data() + at * width, type);
  const std::string value = shown(found.data() + at * width, type);
  return {.element = at,
          .wrong = fmt::format("is {}, expected {}{}", value, right, value == right ? " (the bits differ)" : "")};
}

Mismatch mismatch(DType type, const Reduced& expected, std::span<const std::byte> found) {
  if (expected.bounds.empty()) return mismatch(type, expected.exact, found);
  const std::size_t width = size_of(type);
  for (std::size_t at = 0; at < expected.bounds.size(); ++at) {
    const double right = get(expected.exact.data() + at * width, type);
    const double value = get(found.data() + at * width, type);
    if (std::fabs(value - right) <= static_cast<double>(expected.bounds[at])) continue;
    return {.element = at, .wrong = fmt::format("is {:.9g}, expected {:.9g} +- {}", value, right, expected.bounds[at])};
  }
  return {};
}

std::string described(DType type, std::size_t element, std::size_t all, const std::string& wrong,
                      const std::string& whose) {
  return fmt::format("element {} of {} (byte {}{}) {}", element, all, element * size_of(type), whose, wrong);
}

std::string difference(DType type, std::span<const std::byte> expected, std::span<const std::byte> found) {
  if (expected.size() != found.size()) return fmt::format("{} bytes, expected {}", found.size(), expected.size());
  const Mismatch first = mismatch(type, expected, found);
  if (first.wrong.empty()) return {};
  return described(type, first.element, expected.size() / size_of(type), first.wrong);
}

std::uint64_t hash_of(std::span<const std::byte> bytes) noexcept {
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (const std::byte byte : bytes)
    hash = (hash ^ static_cast<std::uint64_t>(byte)) * 1099511628211U;
  return hash;
}

}  // namespace weft::conformance
