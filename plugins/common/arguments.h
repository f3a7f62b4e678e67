// The checks of a group's calls that come before any work. A call that fails one changes nothing, and the group stays
// whole.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "weft/communicator.h"

namespace weft::plugins {

// invalid_argument, or unimplemented for device memory; messages begin with the plugin's name. Any thread.
class Arguments {
 public:
  static constexpr std::uint32_t tags = 65536;
  static constexpr Bytes max_message = Bytes{1} << 34;  // exclusive

  Arguments(std::string plugin, std::int32_t rank, std::int32_t size)
      : plugin_(std::move(plugin)), rank_(rank), size_(size) {}

  Status stream(Stream stream) const;
  Status all_reduce(Buffer inout, DType type, ReduceOp op) const;
  Status all_gather(Buffer in, Buffer out, DType type) const;
  Status reduce_scatter(Buffer in, Buffer out, DType type, ReduceOp op) const;
  Status broadcast(Buffer inout, DType type, std::int32_t root) const;
  Status all_to_all(Buffer in, Buffer out, DType type) const;
  Status all_to_all_v(Buffer in, std::span<const Bytes> in_parts, Buffer out, std::span<const Bytes> out_parts,
                      DType type) const;
  Status message(Buffer data, DType type, std::int32_t peer, std::uint32_t tag, const char* what) const;

 private:
  tl::unexpected<Error> invalid(const std::string& message) const;
  Status buffer(Buffer buffer, DType type, const char* what) const;
  Status rank(std::int32_t rank, const char* what) const;
  Status op(ReduceOp op, const char* what) const;
  Status parts(std::span<const Bytes> parts, Buffer buffer, DType type, const char* what) const;

  const std::string plugin_;
  const std::int32_t rank_;
  const std::int32_t size_;
};

}  // namespace weft::plugins
