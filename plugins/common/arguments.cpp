#include "plugins/common/arguments.h"

#include <fmt/format.h>

namespace weft::plugins {
namespace {

bool fits(Bytes total, Bytes part, std::int32_t parts) {
  const auto count = static_cast<Bytes>(parts);
  return total % count == 0 && total / count == part;
}

}  // namespace

tl::unexpected<Error> Arguments::invalid(const std::string& message) const {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", plugin_, message));
}

Status Arguments::stream(Stream stream) const {
  if (stream.kind == Stream::Kind::host) return {};
  return fail(ErrorCode::unimplemented,
              fmt::format("{}: moves host memory only; the stream must be a host stream", plugin_));
}

Status Arguments::buffer(Buffer buffer, DType type, const char* what) const {
  const std::size_t element = size_of(type);
  if (element == 0) return invalid(fmt::format("unknown element type {}", static_cast<int>(type)));
  if (buffer.kind == MemoryKind::device)
    return fail(ErrorCode::unimplemented,
                fmt::format("{}: moves host memory only; copy device memory to the host first", plugin_));
  if (buffer.size % element != 0)
    return invalid(fmt::format("{}: {} bytes are not whole elements of {}", what, buffer.size, to_string(type)));
  if (buffer.data == nullptr && buffer.size != 0)
    return invalid(fmt::format("{}: null buffer of {} bytes", what, buffer.size));
  return {};
}

Status Arguments::rank(std::int32_t rank, const char* what) const {
  if (rank >= 0 && rank < size_) return {};
  return invalid(fmt::format("{} is rank {}, but the group has ranks 0 to {}", what, rank, size_ - 1));
}

Status Arguments::op(ReduceOp op, const char* what) const {
  if (op <= ReduceOp::min) return {};
  return invalid(fmt::format("{}: unknown reduction {}, expected sum, max or min", what, static_cast<int>(op)));
}

Status Arguments::all_reduce(Buffer inout, DType type, ReduceOp op) const {
  WEFT_TRY(this->op(op, "all_reduce"));
  return buffer(inout, type, "all_reduce");
}

Status Arguments::all_gather(Buffer in, Buffer out, DType type) const {
  WEFT_TRY(buffer(in, type, "all_gather: in"));
  WEFT_TRY(buffer(out, type, "all_gather: out"));
  if (fits(out.size, in.size, size_)) return {};
  return invalid(
      fmt::format("all_gather: in has {} bytes and out {}; out must be {} times in", in.size, out.size, size_));
}

Status Arguments::reduce_scatter(Buffer in, Buffer out, DType type, ReduceOp op) const {
  WEFT_TRY(this->op(op, "reduce_scatter"));
  WEFT_TRY(buffer(in, type, "reduce_scatter: in"));
  WEFT_TRY(buffer(out, type, "reduce_scatter: out"));
  if (fits(in.size, out.size, size_)) return {};
  return invalid(
      fmt::format("reduce_scatter: in has {} bytes and out {}; in must be {} times out", in.size, out.size, size_));
}

Status Arguments::broadcast(Buffer inout, DType type, std::int32_t root) const {
  WEFT_TRY(buffer(inout, type, "broadcast"));
  return rank(root, "broadcast: root");
}

Status Arguments::all_to_all(Buffer in, Buffer out, DType type) const {
  WEFT_TRY(buffer(in, type, "all_to_all: in"));
  WEFT_TRY(buffer(out, type, "all_to_all: out"));
  const Bytes unit = static_cast<Bytes>(size_) * size_of(type);
  if (in.size == out.size && in.size % unit == 0) return {};
  return invalid(
      fmt::format("all_to_all: in has {} bytes and out {}; both must be {} equal parts of whole elements of {}",
                  in.size, out.size, size_, to_string(type)));
}

Status Arguments::parts(std::span<const Bytes> parts, Buffer buffer, DType type, const char* what) const {
  if (parts.size() != static_cast<std::size_t>(size_))
    return invalid(fmt::format("all_to_all_v: {} has {} parts, expected {}, one a rank", what, parts.size(), size_));
  Bytes left = buffer.size;
  for (const Bytes part : parts) {
    if (part > left || part % size_of(type) != 0)
      return invalid(
          fmt::format("all_to_all_v: {}: a part of {} bytes is not whole elements of {} or goes beyond the "
                      "buffer's {} bytes",
                      what, part, to_string(type), buffer.size));
    left -= part;
  }
  return {};
}

Status Arguments::all_to_all_v(Buffer in, std::span<const Bytes> in_parts, Buffer out, std::span<const Bytes> out_parts,
                               DType type) const {
  WEFT_TRY(buffer(in, type, "all_to_all_v: in"));
  WEFT_TRY(buffer(out, type, "all_to_all_v: out"));
  WEFT_TRY(parts(in_parts, in, type, "in"));
  WEFT_TRY(parts(out_parts, out, type, "out"));
  const auto self = static_cast<std::size_t>(rank_);
  if (in_parts[self] == out_parts[self]) return {};
  return invalid(fmt::format("all_to_all_v: the part for this rank itself has {} bytes in `in` and {} in `out`",
                             in_parts[self], out_parts[self]));
}

Status Arguments::message(Buffer data, DType type, std::int32_t peer, std::uint32_t tag, const char* what) const {
  WEFT_TRY(buffer(data, type, what));
  WEFT_TRY(rank(peer, what));
  if (peer == rank_) return invalid(fmt::format("{}: a rank cannot send to itself", what));
  if (tag >= tags) return invalid(fmt::format("{}: tag {}, expected less than {}", what, tag, tags));
  if (data.size >= max_message)
    return invalid(fmt::format("{}: {} bytes, expected less than {}", what, data.size, max_message));
  return {};
}

}  // namespace weft::plugins
