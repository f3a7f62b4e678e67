// What travels on a lane: one header and at most `max_payload` bytes. The header says which operation the
// bytes belong to, so that ranks that call different things learn it at once instead of waiting or mixing
// their data.
#pragma once

#include <cstddef>
#include <cstdint>

#include "plugins/common/call.h"
#include "weft/buffer.h"

namespace weft::comm_gloo {

using plugins::Kind;

// Native byte order: Gloo's own framing is native too.
struct FrameHeader {
  Kind kind = Kind::hello;
  std::uint8_t dtype = 0;      // weft::DType
  std::uint8_t reduce_op = 0;  // weft::ReduceOp
  std::uint8_t phase = 0;      // of an operation that exchanges more than once
  std::int32_t root = -1;      // of a broadcast
  std::uint64_t sequence = 0;  // how many collectives the group had before this one
  Bytes total = 0;             // bytes this pair exchanges in this direction and phase
  Bytes offset = 0;            // of the payload in those

  bool operator==(const FrameHeader&) const = default;
  plugins::Call call() const noexcept {
    return {.kind = kind, .dtype = dtype, .reduce_op = reduce_op, .root = root, .sequence = sequence, .total = total};
  }
};
static_assert(sizeof(FrameHeader) == 32);

// A multiple of every element's size. Two frames in flight fit into the smallest usual socket buffer, so that
// two ranks that write at the same time never wait for one another.
inline constexpr std::size_t max_payload = 64 * 1024;
inline constexpr std::size_t max_frame = sizeof(FrameHeader) + max_payload;

}  // namespace weft::comm_gloo
