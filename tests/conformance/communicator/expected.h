// What each rank of a call gives and should get. It is made and compared a piece at a time: of a call of 64 MiB no second copy exists,
// nor one of each rank's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/conformance/communicator/values.h"

namespace weft::conformance {

enum class Collective : std::uint8_t {
  all_reduce,
  all_gather,
  reduce_scatter,
  broadcast,
  all_to_all,
  all_to_all_v,
  message,  // send and recv, round the ring: each rank to the next
};
const char* to_string(Collective collective) noexcept;
constexpr bool reduces(Collective collective) noexcept {
  return collective == Collective::all_reduce || collective == Collective::reduce_scatter;
}
// Whether its input is its output.
constexpr bool in_place(Collective collective) noexcept {
  return collective == Collective::all_reduce || collective == Collective::broadcast;
}

struct Call {
  Collective collective = Collective::all_reduce;
  DType type = DType::f32;
  ReduceOp op = ReduceOp::sum;
  std::size_t count = 0;   // elements: of the whole for all_reduce, broadcast and messages, of a part for the others
  std::size_t offset = 0;  // elements from an aligned address
  bool allocated = false;  // in the group's memory, or in any
  std::int32_t root = 0;
  std::uint32_t tag = 0;
  std::uint64_t salt = 0;  // other data for each
  Values values = Values::wide;
};
std::string describe(const Call& call);

// Elements of one stream.
struct Part {
  Origin origin;
  std::size_t first = 0;
  std::size_t count = 0;
};
using Parts = std::vector<Part>;
std::size_t elements_of(const Parts& parts) noexcept;
void fill(std::span<std::byte> to, DType type, const Parts& parts);

// One rank's side of a call.
struct Side {
  DType type = DType::f32;
  Parts in;     // end to end
  Parts out;    // end to end; empty for reductions
  Parts terms;  // of reductions: what is reduced, by rank
  std::vector<Bytes> in_bytes() const { return bytes_of(in); }
  std::vector<Bytes> out_bytes() const { return bytes_of(out); }
  std::size_t out_elements() const noexcept { return terms.empty() ? elements_of(out) : terms.front().count; }

 private:
  std::vector<Bytes> bytes_of(const Parts& parts) const;
};
// `key`: key_of() the call.
Side side_of(const Call& call, std::uint64_t key, std::int32_t rank, std::int32_t ranks);

// Empty where `found` holds what the parts say; else "element 12 of 30 (byte 48; element 2 of rank 1's) is 1.5, expected 1.25".
std::string difference(DType type, const Parts& expected, std::span<const std::byte> found);
// The same of an output. `ordered`: sums of floats go in rank order, so that they are right to the bit; where their values are exact
// they always are.
std::string difference(const Call& call, const Side& side, std::span<const std::byte> found, bool ordered);

// Elements that are compared at once; for tests.
inline constexpr std::size_t piece_elements = std::size_t{1} << 16;

}  // namespace weft::conformance
