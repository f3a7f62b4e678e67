#include "plugins/comm_gloo/group.h"

#include <fmt/format.h>
#include <gloo/context.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <numeric>
#include <utility>

#include "plugins/comm_gloo/loop.h"
#include "plugins/comm_gloo/pipe_signal.h"
#include "plugins/comm_gloo/rendezvous.h"

namespace weft::comm_gloo {
namespace {

tl::unexpected<Error> invalid(std::string message) { return fail(ErrorCode::invalid_argument, "gloo: " + message); }

bool fits(Bytes total, Bytes part, std::int32_t parts) {
  const auto count = static_cast<Bytes>(parts);
  return total % count == 0 && total / count == part;
}

}  // namespace

AlignedMemory allocate_aligned(Bytes bytes) noexcept {
  // Rounded up to the boundary a size near the greatest would be a small one again.
  if (bytes > std::numeric_limits<std::ptrdiff_t>::max()) return nullptr;
  auto* memory = static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64}, std::nothrow));
  if (memory != nullptr) std::memset(memory, 0, bytes);
  return AlignedMemory(memory);
}

GlooGroup::GlooGroup(const GroupSpec& spec, Fabric fabric, Bytes gather_bytes)
    : spec_(spec),
      fabric_(std::move(fabric)),
      gather_bytes_(gather_bytes),
      parts_(static_cast<std::size_t>(spec.size)),
      in_parts_(parts_.size()),
      out_parts_(parts_.size()),
      sources_(parts_.size()) {}

GlooGroup::~GlooGroup() {
  abort(Error{ErrorCode::aborted, "the group's owner dropped it"});
  static_cast<void>(close(Deadline::in(std::chrono::seconds(1))));
}

Result<Buffer> GlooGroup::allocate(Bytes bytes) {
  if (auto error = refusal()) return fail(std::move(*error));
  AlignedMemory memory = allocate_aligned(bytes);
  if (!memory) return fail(ErrorCode::resource_exhausted, fmt::format("gloo: cannot allocate {} bytes", bytes));
  allocated_.push_back(std::move(memory));
  return Buffer{.data = allocated_.back().get(), .size = bytes};
}

std::optional<Error> GlooGroup::refusal() {
  if (!broken_.load(std::memory_order_acquire)) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (closed_) return Error{ErrorCode::failed_precondition, fmt::format("gloo: group '{}' is closed", spec_.id)};
  // An abort that no operation has met yet ends the next one; after that the group is as broken as after any
  // error.
  if (!std::exchange(reported_, true)) return *reason_;
  return Error{ErrorCode::failed_precondition,
               fmt::format("gloo: group '{}' is broken and can only be closed: {}", spec_.id, reason_->message)};
}

Status GlooGroup::prepare(Stream stream) {
  if (auto error = refusal()) return fail(std::move(*error));
  if (stream.kind != Stream::Kind::host)
    return fail(ErrorCode::unimplemented, "gloo: moves host memory only; the stream must be a host stream");
  return finish_pending(Deadline::never());  // that operation has a deadline of its own
}

Status GlooGroup::check_buffer(Buffer buffer, DType type, const char* what) const {
  const std::size_t element = size_of(type);
  if (element == 0) return invalid(fmt::format("unknown element type {}", static_cast<int>(type)));
  if (buffer.kind == MemoryKind::device)
    return fail(ErrorCode::unimplemented, "gloo: moves host memory only; copy device memory to the host first");
  if (buffer.size % element != 0)
    return invalid(fmt::format("{}: {} bytes are not whole elements of {}", what, buffer.size, to_string(type)));
  if (buffer.data == nullptr && buffer.size != 0)
    return invalid(fmt::format("{}: null buffer of {} bytes", what, buffer.size));
  return {};
}

Status GlooGroup::check_rank(std::int32_t rank, const char* what) const {
  if (rank >= 0 && rank < spec_.size) return {};
  return invalid(fmt::format("{} is rank {}, but the group has ranks 0 to {}", what, rank, spec_.size - 1));
}

Status GlooGroup::check_op(ReduceOp op) const {
  if (op == ReduceOp::sum || op == ReduceOp::max || op == ReduceOp::min) return {};
  return invalid(fmt::format("unknown reduction {}, expected sum, max or min", static_cast<int>(op)));
}

Result<Work> GlooGroup::record(Kind kind, Buffer in, Buffer out, DType type, ReduceOp op, std::int32_t root) {
  pending_ = Pending{.ticket = ++tickets_,
                     .header = {.kind = kind,
                                .dtype = static_cast<std::uint8_t>(type),
                                .reduce_op = static_cast<std::uint8_t>(op),
                                .root = root,
                                .sequence = sequence_++},
                     .type = type,
                     .op = op,
                     .in = in,
                     .out = out,
                     .deadline = Deadline::in(spec_.operation_timeout)};
  return Work(*this, pending_.ticket);
}

Result<Work> GlooGroup::all_reduce(Buffer inout, DType type, ReduceOp op, Stream stream) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(check_buffer(inout, type, "all_reduce"));
  WEFT_TRY(check_op(op));
  return record(Kind::all_reduce, inout, inout, type, op, -1);
}

Result<Work> GlooGroup::all_gather(Buffer in, Buffer out, DType type, Stream stream) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(check_buffer(in, type, "all_gather: in"));
  WEFT_TRY(check_buffer(out, type, "all_gather: out"));
  if (!fits(out.size, in.size, spec_.size))
    return invalid(
        fmt::format("all_gather: in has {} bytes and out {}; out must be {} times in", in.size, out.size, spec_.size));
  return record(Kind::all_gather, in, out, type, ReduceOp::sum, -1);
}

Result<Work> GlooGroup::reduce_scatter(Buffer in, Buffer out, DType type, ReduceOp op, Stream stream) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(check_buffer(in, type, "reduce_scatter: in"));
  WEFT_TRY(check_buffer(out, type, "reduce_scatter: out"));
  WEFT_TRY(check_op(op));
  if (!fits(in.size, out.size, spec_.size))
    return invalid(fmt::format("reduce_scatter: in has {} bytes and out {}; in must be {} times out", in.size, out.size,
                               spec_.size));
  return record(Kind::reduce_scatter, in, out, type, op, -1);
}

Result<Work> GlooGroup::broadcast(Buffer inout, DType type, std::int32_t root, Stream stream) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(check_buffer(inout, type, "broadcast"));
  WEFT_TRY(check_rank(root, "broadcast: root"));
  return record(Kind::broadcast, inout, inout, type, ReduceOp::sum, root);
}

Result<Work> GlooGroup::all_to_all(Buffer in, Buffer out, DType type, Stream stream) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(check_buffer(in, type, "all_to_all: in"));
  WEFT_TRY(check_buffer(out, type, "all_to_all: out"));
  const Bytes unit = static_cast<Bytes>(spec_.size) * size_of(type);
  if (in.size != out.size || in.size % unit != 0)
    return invalid(
        fmt::format("all_to_all: in has {} bytes and out {}; both must be {} equal parts of whole elements of {}",
                    in.size, out.size, spec_.size, to_string(type)));
  std::fill(in_parts_.begin(), in_parts_.end(), in.size / static_cast<Bytes>(spec_.size));
  out_parts_ = in_parts_;
  return record(Kind::all_to_all, in, out, type, ReduceOp::sum, -1);
}

Result<Work> GlooGroup::all_to_all_v(Buffer in, std::span<const Bytes> in_parts, Buffer out,
                                     std::span<const Bytes> out_parts, DType type, Stream stream) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(check_buffer(in, type, "all_to_all_v: in"));
  WEFT_TRY(check_buffer(out, type, "all_to_all_v: out"));
  const auto check = [&](std::span<const Bytes> parts, Buffer buffer, const char* what) -> Status {
    if (parts.size() != parts_.size())
      return invalid(
          fmt::format("all_to_all_v: {} has {} parts, expected {}, one a rank", what, parts.size(), parts_.size()));
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
  };
  WEFT_TRY(check(in_parts, in, "in"));
  WEFT_TRY(check(out_parts, out, "out"));
  const auto self = static_cast<std::size_t>(spec_.rank);
  if (in_parts[self] != out_parts[self])
    return invalid(fmt::format("all_to_all_v: the part for this rank itself has {} bytes in `in` and {} in `out`",
                               in_parts[self], out_parts[self]));
  in_parts_.assign(in_parts.begin(), in_parts.end());
  out_parts_.assign(out_parts.begin(), out_parts.end());
  return record(Kind::all_to_all_v, in, out, type, ReduceOp::sum, -1);
}

Result<Work> GlooGroup::barrier(Stream stream) {
  WEFT_TRY(prepare(stream));
  return record(Kind::barrier, {}, {}, DType::u8, ReduceOp::sum, -1);
}

Result<Work> GlooGroup::message(Buffer data, DType type, std::int32_t peer, std::uint32_t tag, Stream stream,
                                bool outgoing) {
  const char* what = outgoing ? "send" : "recv";
  WEFT_TRY(prepare(stream));
  WEFT_TRY(check_buffer(data, type, what));
  WEFT_TRY(check_rank(peer, what));
  if (peer == spec_.rank) return invalid(fmt::format("{}: a rank cannot send to itself", what));
  if (tag >= Postbox::tags) return invalid(fmt::format("{}: tag {}, expected less than {}", what, tag, Postbox::tags));
  if (data.size >= Postbox::max_bytes)
    return invalid(fmt::format("{}: {} bytes, expected less than {}", what, data.size, Postbox::max_bytes));
  if (data.size == 0) return Work{};
  const PipeSignalGuard guard;
  const Deadline deadline = Deadline::in(spec_.operation_timeout);
  const Status posted = outgoing ? fabric_.postbox->send(++tickets_, data, peer, tag, deadline)
                                 : fabric_.postbox->recv(++tickets_, data, peer, tag, deadline);
  if (!posted) return fail(break_with({peer, posted.error()}));
  return Work(*this, tickets_);
}

Result<Work> GlooGroup::send(Buffer in, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) {
  return message(in, type, peer, tag, stream, true);
}
Result<Work> GlooGroup::recv(Buffer out, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) {
  return message(out, type, peer, tag, stream, false);
}

Status GlooGroup::wait(std::uint64_t ticket, Deadline deadline) {
  // A collective that is pending goes first even if the ticket is a message's: peers may be in it.
  if (pending_.ticket != 0) {
    Status finished = finish_pending(deadline);
    if (!finished) return finished;
  }
  if (!fabric_.postbox) {
    if (std::find(unfinished_.begin(), unfinished_.end(), ticket) != unfinished_.end()) return fail(break_with({}));
    return {};
  }
  const std::int32_t peer = fabric_.postbox->peer_of(ticket);
  if (peer < 0) return {};
  if (broken_.load(std::memory_order_acquire)) return fail(break_with({}));
  Status status = fabric_.postbox->wait(ticket, deadline);
  if (status) return status;
  return fail(break_with({peer, std::move(status).error()}));
}

bool GlooGroup::done(std::uint64_t ticket) {
  static_cast<void>(wait(ticket, Deadline::never()));  // ends by the operation's own deadline
  return true;
}

Error GlooGroup::explain(const Failure& failure) const {
  Error error = failure.error;
  if (failure.rank >= 0) {
    std::string who = member_name(spec_, failure.rank);
    if (error.code == ErrorCode::deadline_exceeded && failure.collective)
      for (const std::int32_t silent : fabric_.exchange->silent_ranks())
        if (silent != failure.rank) who += ", " + member_name(spec_, silent);
    error.message = fmt::format("{} {}", who, error.message);
    if (error.code == ErrorCode::unavailable)
      if (const auto reason = reason_of(spec_, failure.rank)) error.message += fmt::format("; it said: {}", *reason);
  }
  return annotate(std::move(error), fmt::format("gloo: group '{}'", spec_.id));
}

Error GlooGroup::break_with(const Failure& failure) {
  if (!broken_.load(std::memory_order_acquire)) abort(explain(failure));
  const std::lock_guard lock(mutex_);
  reported_ = true;
  return *reason_;
}

void GlooGroup::abort(Error why) noexcept {
  const std::lock_guard lock(mutex_);
  if (closed_ || reason_) return;
  reason_ = std::move(why);
  broken_.store(true, std::memory_order_release);
  // First the reason, then the end: a peer that sees the end looks for the reason.
  if (spec_.size > 1) leave_reason(spec_, *reason_);
  if (fabric_.exchange) fabric_.exchange->shutdown();
  if (fabric_.postbox) fabric_.postbox->stop();
}

Status GlooGroup::close(Deadline deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return {};
    broken_.store(true, std::memory_order_release);
    if (!reason_) reason_ = Error{ErrorCode::failed_precondition, fmt::format("gloo: group '{}' is closed", spec_.id)};
    reported_ = true;
    if (fabric_.postbox) unfinished_ = fabric_.postbox->tickets();
    std::optional<LoopStirrer> stirrer;
    if (fabric_.device) stirrer.emplace(fabric_.device);
    fabric_.postbox.reset();
    fabric_.exchange.reset();
    fabric_.lane_mesh.reset();
    fabric_.outbox.reset();
    stirrer.reset();
    fabric_.device.reset();
  }
  if (spec_.size == 1) return {};
  WEFT_TRY_CONTEXT(leave(spec_, deadline), fmt::format("gloo: group '{}': close", spec_.id));
  return {};
}

}  // namespace weft::comm_gloo
