// What collectives should give, computed naively, and data to give them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "weft/communicator.h"
#include "weft/dtype.h"

namespace weft::conformance {

using Data = std::vector<std::byte>;

inline constexpr DType all_types[] = {DType::f32, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8};
inline constexpr ReduceOp all_ops[] = {ReduceOp::sum, ReduceOp::max, ReduceOp::min};

const char* to_string(ReduceOp op) noexcept;

// `count` elements that nobody else has: of `salt` (a rank, a part) and their places. The magnitudes of floats differ so much that the
// order of a sum shows in its bits; none is NaN, infinite or zero.
Data data_of(DType type, std::uint64_t salt, std::size_t count);

// One element of a type from a number, and back.
void put(std::byte* to, DType type, double value);
double get(const std::byte* from, DType type);

// The reduction of one block from every rank: floats in f64 for the bounds, in f32 in rank order for the bits.
struct Reduced {
  Data exact;                 // in rank order, through f32, rounded once; integers wrap
  std::vector<float> bounds;  // of floats' sums only: how far any order of the sum may be off
};
Reduced reduce(DType type, ReduceOp op, std::span<const Data> ranks);

// Empty where `found` is right; else "element 3 is 1.5, expected 1.25". `ordered`: to the bit.
std::string difference(DType type, const Reduced& expected, std::span<const std::byte> found, bool ordered);
std::string difference(DType type, std::span<const std::byte> expected, std::span<const std::byte> found);

std::uint64_t hash_of(std::span<const std::byte> bytes) noexcept;

}  // namespace weft::conformance
