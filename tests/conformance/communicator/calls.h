// One collective, done and checked: what it gave, and what must not be touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/communicator/expected.h"
#include "tests/conformance/communicator/ranks.h"

namespace weft::conformance {

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

// A stream of the rank's case, of position `from` in a group of `ranks` (0: of all ranks of the case).
Origin origin_of(const Rank& rank, std::uint64_t call, std::int32_t from, std::int32_t ranks = 0);

// Does `call` with the group's other ranks and fails the case where the result is wrong, an input has changed or anything round the
// buffers was written.
void perform(const Rank& rank, Group& group, const Call& call);

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
