#include "plugins/common/host_group.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "plugins/common/group_spec.h"
#include "plugins/common/reduce.h"

namespace weft::plugins {

void AlignedDelete::operator()(std::byte* memory) const noexcept { ::operator delete (memory, std::align_val_t{64}); }

AlignedMemory allocate_aligned(Bytes bytes) noexcept {
  // Zeroing touches all of it: more than the machine has would end the process instead of failing here. And rounded up to
  // the boundary a size near the greatest would be a small one again.
  const long pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0 && bytes / static_cast<Bytes>(page) >= static_cast<Bytes>(pages)) return nullptr;
  auto* memory = static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64}, std::nothrow));
  if (memory != nullptr) std::memset(memory, 0, bytes);
  return AlignedMemory(memory);
}

HostGroup::HostGroup(std::string plugin, const GroupSpec& spec, std::optional<Meeting> meeting,
                     std::unique_ptr<Transport> transport)
    : plugin_(std::move(plugin)),
      spec_(spec),
      meeting_(std::move(meeting)),
      arguments_(plugin_, spec.rank, spec.size),
      breakage_(fmt::format("{}: group '{}'", plugin_, spec.id)),
      transport_(std::move(transport)),
      in_parts_(static_cast<std::size_t>(spec.size)),
      out_parts_(in_parts_.size()) {}

HostGroup::~HostGroup() {
  // What nobody has waited for must not look done to the peers. A group that is dropped between operations only closes:
  // peers may still be in the last one.
  if (pending_ != 0 || (open_ && transport_ && !transport_->unfinished().empty()))
    abort(Error{ErrorCode::aborted, "the group's owner dropped it"});
  static_cast<void>(close(Deadline::in(std::chrono::seconds(1))));
}

Result<Buffer> HostGroup::allocate(Bytes bytes) {
  if (auto error = breakage_.refusal()) return fail(std::move(*error));
  if (transport_) {
    auto made = transport_->allocate(bytes);
    if (!made) return fail(annotate(std::move(made).error(), plugin_));
    return *made;
  }
  AlignedMemory memory = allocate_aligned(bytes);
  if (!memory) return fail(ErrorCode::resource_exhausted, fmt::format("{}: cannot allocate {} bytes", plugin_, bytes));
  allocated_.push_back(std::move(memory));
  return Buffer{.data = allocated_.back().get(), .size = bytes};
}

Status HostGroup::prepare(Stream stream) {
  if (auto error = breakage_.refusal()) return fail(std::move(*error));
  WEFT_TRY(arguments_.stream(stream));
  return finish_pending(Deadline::never());  // that operation has a deadline of its own
}

Result<Work> HostGroup::record(Kind kind, Buffer in, Buffer out, DType type, ReduceOp op, std::int32_t root) {
  operation_ = Operation{.call = {.kind = kind,
                                  .dtype = static_cast<std::uint8_t>(type),
                                  .reduce_op = static_cast<std::uint8_t>(op),
                                  .root = root,
                                  .sequence = sequence_++,
                                  .total = in.size},
                         .type = type,
                         .op = op,
                         .in = in,
                         .out = out,
                         .in_parts = in_parts_,
                         .out_parts = out_parts_};
  deadline_ = Deadline::in(spec_.operation_timeout);
  pending_ = ++tickets_;
  return Work(*this, pending_);
}

Result<Work> HostGroup::all_reduce(Buffer inout, DType type, ReduceOp op, Stream stream) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(arguments_.all_reduce(inout, type, op));
  return record(Kind::all_reduce, inout, inout, type, op, -1);
}

Result<Work> HostGroup::all_gather(Buffer in, Buffer out, DType type, Stream stream) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(arguments_.all_gather(in, out, type));
  return record(Kind::all_gather, in, out, type, ReduceOp::sum, -1);
}

Result<Work> HostGroup::reduce_scatter(Buffer in, Buffer out, DType type, ReduceOp op, Stream stream) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(arguments_.reduce_scatter(in, out, type, op));
  return record(Kind::reduce_scatter, in, out, type, op, -1);
}

Result<Work> HostGroup::broadcast(Buffer inout, DType type, std::int32_t root, Stream stream) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(arguments_.broadcast(inout, type, root));
  return record(Kind::broadcast, inout, inout, type, ReduceOp::sum, root);
}

Result<Work> HostGroup::all_to_all(Buffer in, Buffer out, DType type, Stream stream) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(arguments_.all_to_all(in, out, type));
  std::fill(in_parts_.begin(), in_parts_.end(), in.size / static_cast<Bytes>(spec_.size));
  out_parts_ = in_parts_;
  return record(Kind::all_to_all, in, out, type, ReduceOp::sum, -1);
}

Result<Work> HostGroup::all_to_all_v(Buffer in, std::span<const Bytes> in_parts, Buffer out,
                                     std::span<const Bytes> out_parts, DType type, Stream stream) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(arguments_.all_to_all_v(in, in_parts, out, out_parts, type));
  in_parts_.assign(in_parts.begin(), in_parts.end());
  out_parts_.assign(out_parts.begin(), out_parts.end());
  return record(Kind::all_to_all_v, in, out, type, ReduceOp::sum, -1);
}

Result<Work> HostGroup::barrier(Stream stream) {
  WEFT_TRY(prepare(stream));
  return record(Kind::barrier, {}, {}, DType::u8, ReduceOp::sum, -1);
}

Result<Work> HostGroup::message(Buffer data, DType type, std::int32_t peer, std::uint32_t tag, Stream stream,
                                bool outgoing) {
  WEFT_TRY(prepare(stream));
  WEFT_TRY(arguments_.message(data, type, peer, tag, outgoing ? "send" : "recv"));
  if (data.size == 0) return Work{};
  const Outcome posted = transport_->post({.ticket = ++tickets_,
                                           .data = data,
                                           .peer = peer,
                                           .tag = tag,
                                           .outgoing = outgoing,
                                           .deadline = Deadline::in(spec_.operation_timeout)});
  if (!posted) return fail(break_with(posted.error()));
  return Work(*this, tickets_);
}

Result<Work> HostGroup::send(Buffer in, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) {
  return message(in, type, peer, tag, stream, true);
}
Result<Work> HostGroup::recv(Buffer out, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) {
  return message(out, type, peer, tag, stream, false);
}

Status HostGroup::finish_pending(Deadline deadline) {
  if (pending_ == 0) return {};
  if (breakage_.broken()) return fail(breakage_.report());
  const Outcome outcome = transport_ ? transport_->run(operation_, deadline_.earlier(deadline)) : run_alone(operation_);
  if (!outcome) return fail(break_with(outcome.error()));
  pending_ = 0;
  return {};
}

// Reductions of one rank go through the kernels too: what they make of a NaN does not depend on the group's size.
Outcome HostGroup::run_alone(const Operation& operation) {
  const auto* in = operation.in.as<const std::byte>();
  auto* out = operation.out.as<std::byte>();
  const Kind kind = operation.call.kind;
  const Bytes bytes = kind == Kind::all_to_all_v ? operation.in_parts[0] : operation.out.size;
  if (bytes == 0) return {};
  if (kind == Kind::all_reduce || kind == Kind::reduce_scatter)
    reduce_in_rank_order(operation.type, operation.op, {&in, 1}, bytes / size_of(operation.type), out);
  else if (in != out)
    std::memmove(out, in, bytes);
  return {};
}

Status HostGroup::wait(std::uint64_t ticket, Deadline deadline) {
  // A collective that is pending goes first even if the ticket is a message's: peers may be in it.
  WEFT_TRY(finish_pending(deadline));
  if (!open_) {
    if (std::find(unfinished_.begin(), unfinished_.end(), ticket) != unfinished_.end()) return fail(breakage_.report());
    return {};
  }
  if (!transport_ || !transport_->holds(ticket)) return {};
  if (breakage_.broken()) return fail(breakage_.report());
  const Outcome outcome = transport_->wait(ticket, deadline);
  if (!outcome) return fail(break_with(outcome.error()));
  return {};
}

bool HostGroup::done(std::uint64_t ticket) {
  if (pending_ == 0 && open_ && transport_ && !breakage_.broken())
    if (const auto known = transport_->done(ticket)) return *known;
  static_cast<void>(wait(ticket, Deadline::never()));  // ends by the operation's own deadline
  return true;
}

Error HostGroup::explain(const Failure& failure) const {
  Error error = failure.error;
  if (!failure.ranks.empty()) {
    std::string who;
    for (const std::int32_t rank : failure.ranks)
      who += (who.empty() ? "" : ", ") + member_name(spec_, rank);
    error.message = fmt::format("{} {}", who, error.message);
    if (error.code == ErrorCode::unavailable)
      if (const auto reason = transport_->reason_of(failure.ranks.front()))
        error.message += fmt::format("; it said: {}", *reason);
  }
  return annotate(std::move(error), fmt::format("{}: group '{}'", plugin_, spec_.id));
}

Error HostGroup::break_with(const Failure& failure) {
  if (!breakage_.broken()) abort(explain(failure));
  return breakage_.report();
}

void HostGroup::abort(Error why) noexcept {
  const std::lock_guard lock(mutex_);
  if (!breakage_.break_with(why)) return;
  if (transport_) transport_->stop(why);
}

Status HostGroup::close(Deadline deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (!breakage_.close()) return {};
    open_ = false;
    if (transport_) {
      unfinished_ = transport_->unfinished();
      transport_->close();
    }
  }
  if (!meeting_) return {};
  WEFT_TRY_CONTEXT(meeting_->leave(deadline), fmt::format("{}: group '{}': close", plugin_, spec_.id));
  return {};
}

}  // namespace weft::plugins
