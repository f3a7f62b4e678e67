// Data that collectives are given, and what reductions of it should give, computed naively.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/communicator.h"
#include "weft/dtype.h"

namespace weft::conformance {

using Data = std::vector<std::byte>;

inline constexpr DType all_types[] = {DType::f32, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8};
inline constexpr ReduceOp all_ops[] = {ReduceOp::sum, ReduceOp::max, ReduceOp::min};

const char* to_string(ReduceOp op) noexcept;

enum class Values : std::uint8_t {
  wide,  // floats' magnitudes differ so much that the order of a sum shows in an f32's bits; none is NaN, infinite or zero
  exact,  // floats are whole numbers, so small that the type holds every sum over the group, in any order; none is zero
};

// Whose elements. Each element is a function of all of this, of its type and of its index; streams that differ in any of it have
// nothing in common, so none is another one shifted: a result that stands a rank or an element off is never right by chance.
struct Origin {
  std::uint64_t key = 0;   // of the run, the case and the call: key_of()
  std::int32_t ranks = 1;  // of the group
  std::int32_t from = 0;   // the rank that gives them
  std::int32_t to = 0;     // the rank that they are for, where one has others for each
  Values values = Values::wide;
};
std::uint64_t key_of(std::uint64_t seed, std::string_view case_id, std::uint64_t call) noexcept;

// Elements `first`, first + 1, ... of the origin's stream.
void fill(std::span<std::byte> to, DType type, const Origin& origin, std::size_t first = 0);
Data data_of(DType type, const Origin& origin, std::size_t count, std::size_t first = 0);

// One element of a type from a number, and back.
void put(std::byte* to, DType type, double value);
double get(const std::byte* from, DType type);

// The reduction of one block from every rank: floats in f64 for the bounds, in f32 in rank order for the bits.
struct Reduced {
  Data exact;                 // in rank order, through f32, rounded once; integers wrap
  std::vector<float> bounds;  // of floats' sums only: how far any order of the sum may be off
};
Reduced reduce(DType type, ReduceOp op, std::span<const Data> ranks);

// The first element that is not right. `wrong` is empty where all are; else "is 1.5, expected 1.25".
struct Mismatch {
  std::size_t element = 0;
  std::string wrong;
};
Mismatch mismatch(DType type, std::span<const std::byte> expected, std::span<const std::byte> found);
// Within the bounds, where there are any.
Mismatch mismatch(DType type, const Reduced& expected, std::span<const std::byte> found);

// "element 3 of 9 (byte 12) is 1.5, expected 1.25"; `whose` stands in the brackets too: "; element 2 of rank 1's".
std::string described(DType type, std::size_t element, std::size_t all, const std::string& wrong,
                      const std::string& whose = {});
// Empty where `found` is right to the bit; else that of the first element that is not.
std::string difference(DType type, std::span<const std::byte> expected, std::span<const std::byte> found);

std::uint64_t hash_of(std::span<const std::byte> bytes) noexcept;

}  // namespace weft::conformance
