// One collective, done and checked: the data it is given, what it should give, and what must not be touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/communicator/ranks.h"
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
};
std::string describe(const Call& call);

// Memory between two strips of sentinels. Foreign, or of the group's allocate().
class Guarded {
 public:
  Guarded(const Rank& rank, Group& group, std::size_t bytes, std::size_t offset_bytes, bool allocated);
  explicit Guarded(std::size_t bytes);

  Buffer buffer() const noexcept { return buffer_; }
  std::span<std::byte> bytes() const noexcept { return {buffer_.as<std::byte>(), buffer_.size}; }
  void fill(std::span<const std::byte> data) const noexcept;
  bool intact() const noexcept;

 private:
  void place(std::byte* memory, std::size_t bytes, std::size_t offset_bytes);

  struct Free {
    void operator()(std::byte* memory) const noexcept;
  };
  std::unique_ptr<std::byte, Free> own_;
  std::byte* begin_ = nullptr;
  std::byte* end_ = nullptr;
  Buffer buffer_;
};

// Does `call` with the group's other ranks and fails the case where the result is wrong, an input has changed or anything round the
// buffers was written. The hash of what an all_reduce gave.
std::uint64_t perform(const Rank& rank, Group& group, const Call& call);

// The values that make the rows of a sweep.
struct Sweep {
  Collective collective;
  std::vector<std::int32_t> ranks;
  std::vector<std::size_t> bytes;  // about: made whole elements, one more or less for pages
  bool whole = false;              // the product instead of pairs
};
// What each number of ranks is to do.
std::vector<Call> calls_of(const Sweep& sweep, std::int32_t ranks);
// Runs a sweep in one group for each number of ranks.
void sweep(Context& context, const Sweep& sweep);

}  // namespace weft::conformance
