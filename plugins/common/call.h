// What one collective is, in words that ranks can compare: ranks that call different things learn it at once instead of
// waiting for each other or mixing their data.
#pragma once

#include <cstdint>
#include <string>

#include "weft/communicator.h"

namespace weft::plugins {

enum class Kind : std::uint8_t {
  hello = 0,  // no collective: a greeting
  all_reduce,
  all_gather,
  reduce_scatter,
  broadcast,
  all_to_all,
  all_to_all_v,
  barrier,
};

constexpr const char* to_string(Kind kind) noexcept {
  switch (kind) {
    case Kind::hello: return "hello";
    case Kind::all_reduce: return "all_reduce";
    case Kind::all_gather: return "all_gather";
    case Kind::reduce_scatter: return "reduce_scatter";
    case Kind::broadcast: return "broadcast";
    case Kind::all_to_all: return "all_to_all";
    case Kind::all_to_all_v: return "all_to_all_v";
    case Kind::barrier: return "barrier";
  }
  return "unknown";
}

// Plain data that may lie in memory or frames which others write: any bytes are a value of it.
struct Call {
  Kind kind = Kind::hello;
  std::uint8_t dtype = 0;      // weft::DType
  std::uint8_t reduce_op = 0;  // weft::ReduceOp
  std::uint8_t unused = 0;
  std::int32_t root = -1;      // of a broadcast
  std::uint64_t sequence = 0;  // how many collectives the group had before this one
  Bytes total = 0;             // bytes that a rank gives

  bool operator==(const Call&) const = default;
};
static_assert(sizeof(Call) == 24);

// "all_reduce number 7 with 512 bytes of f32, reduction 0".
std::string describe(const Call& call);
// The error of a rank that called `mine` where another called `theirs`; without that rank's name.
Error different_calls(const Call& theirs, const Call& mine);

// Where rank `rank`'s share of `bytes` begins when `size` ranks share whole blocks of them. Blocks of 512 bytes keep
// shares on the boundaries of cache lines and of every element type.
Bytes share_begin(Bytes bytes, std::int32_t rank, std::int32_t size) noexcept;

}  // namespace weft::plugins
