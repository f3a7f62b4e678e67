#include "tests/conformance/mutants/communicator/group.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <utility>

#include "tests/conformance/mutants/communicator/leaks.h"
#include "tests/conformance/mutants/communicator/process.h"
#include "tests/conformance/mutants/communicator/switches.h"

namespace mutant {

using weft::Buffer;
using weft::Deadline;
using weft::DType;
using weft::Error;
using weft::ErrorCode;
using weft::ReduceOp;
using weft::Result;
using weft::Status;
using weft::Stream;
using weft::Work;

namespace {

// Added to a tag: the peer has begun to receive.
constexpr std::uint32_t recv_begun = 65536;

}  // namespace

std::mutex MeshGroup::process_mutex_;
std::set<MeshGroup*> MeshGroup::living_;

MeshGroup::MeshGroup(const weft::GroupSpec& spec, Mesh mesh)
    : spec_(spec), mesh_(std::move(mesh)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), segment_(leak_at_open()) {
  const std::lock_guard lock(process_mutex_);
  living_.insert(this);
}

MeshGroup::~MeshGroup() {
  {
    const std::lock_guard lock(process_mutex_);
    living_.erase(this);
  }
  abort(Error{ErrorCode::aborted, "mutant: dropped", false});
  if (!breaks("destructor_forgets")) static_cast<void>(close(Deadline::in(std::chrono::seconds(1))));
}

Result<Buffer> MeshGroup::allocate(weft::Bytes bytes) {
  WEFT_TRY(usable({}));
  if (bytes > weft::Bytes{1} << 40) return weft::fail(ErrorCode::resource_exhausted, "mutant: too much");
  if (breaks("allocations_overlap") && !allocated_.empty() && allocated_.back().size() >= bytes)
    return Buffer{.data = allocated_.back().data(), .size = bytes};
  allocated_.emplace_back(std::max<std::size_t>(bytes, 1));
  return Buffer{.data = allocated_.back().data(), .size = bytes};
}

tl::unexpected<Error> MeshGroup::refuse(ErrorCode code, const std::string& what) {
  Error error{code, "mutant: " + what, false};
  if (breaks("refusal_breaks")) abort(error);
  return weft::fail(std::move(error));
}

Status MeshGroup::usable(Stream stream) {
  if (broken_ && !breaks("error_forgotten"))
    return weft::fail(ErrorCode::failed_precondition, "mutant: the group is broken or closed: " + reason().message);
  if (stream.kind != Stream::Kind::host && !breaks("streams_ignored"))
    return refuse(ErrorCode::unimplemented, "host streams only");
  return {};
}

Status MeshGroup::check(Buffer buffer, DType type) {
  const std::size_t width = weft::size_of(type);
  if (width == 0) return refuse(ErrorCode::invalid_argument, "unknown type");
  if (buffer.kind == weft::MemoryKind::device) return refuse(ErrorCode::unimplemented, "host memory only");
  if (buffer.size % width != 0 && !breaks("half_elements"))
    return refuse(ErrorCode::invalid_argument, "not whole elements");
  if (buffer.data == nullptr && buffer.size != 0 && !breaks("null_accepted"))
    return refuse(ErrorCode::invalid_argument, "null buffer");
  if (buffer.size == 0 && breaks("empty_refused")) return refuse(ErrorCode::invalid_argument, "nothing to do");
  return {};
}

Status MeshGroup::check_parts(std::span<const weft::Bytes> parts, Buffer buffer, DType type) {
  if (parts.size() != index(spec_.size)) return refuse(ErrorCode::invalid_argument, "one part a rank");
  weft::Bytes sum = 0;
  for (const weft::Bytes part : parts) {
    if (part % weft::size_of(type) != 0) return refuse(ErrorCode::invalid_argument, "a part of broken elements");
    if (part > buffer.size - std::min(sum, buffer.size) && !breaks("parts_may_overflow"))
      return refuse(ErrorCode::invalid_argument, "parts beyond the buffer");
    sum += part;
  }
  if (sum > buffer.size) return refuse(ErrorCode::invalid_argument, "parts beyond the buffer");
  return {};
}

std::vector<std::span<const std::byte>> MeshGroup::same_for_all(Buffer data) const {
  return std::vector<std::span<const std::byte>>(index(spec_.size), {data.as<const std::byte>(), data.size});
}

Result<Work> MeshGroup::record(Operation operation) {
  operation.ticket = ++tickets_;
  operation.deadline = Deadline::in(spec_.operation_timeout + (breaks("timeout_late") ? too_long() : too_long() * 0));
  // Whose peer gave up waits in vain, and need not do so for long.
  if (breaks("send_waits_for_recv")) operation.deadline = Deadline::in(std::chrono::seconds(1));
  pending_.push_back(std::move(operation));
  advance();
  return Work(*this, tickets_);
}

Result<Work> MeshGroup::begin(Operation operation, const std::vector<std::span<const std::byte>>& parts) {
  if (breaks("broadcast_after_an_extreme") && operation.kind == Kind::broadcast && after_an_extreme_)
    operation.root = 0;
  after_an_extreme_ =
      (operation.kind == Kind::all_reduce || operation.kind == Kind::reduce_scatter) && operation.op != ReduceOp::sum;
  if (breaks("last_begun_counts")) pending_.clear();
  operation.sequence = ++sequences_;
  operation.writes.resize(index(spec_.size));
  for (std::int32_t peer = 0; peer < spec_.size; ++peer) {
    const std::span<const std::byte> data = parts[index(peer)];
    if (peer == spec_.rank)
      operation.own.assign(data.begin(), data.end());
    else if (operation.kind != Kind::broadcast || operation.root == spec_.rank)
      operation.writes[index(peer)] = mesh_.queue_collective(peer, operation.sequence, data);
  }
  return record(std::move(operation));
}

Result<Work> MeshGroup::all_reduce(Buffer inout, DType type, ReduceOp op, Stream stream) {
  WEFT_TRY(usable(stream));
  WEFT_TRY(check(inout, type));
  if (breaks("all_reduce_replaces_terminate")) std::set_terminate([] { ::_exit(0); });
  if (static_cast<int>(op) > 2 && !breaks("any_reduction")) return refuse(ErrorCode::invalid_argument, "unknown op");
  return begin({.kind = Kind::all_reduce, .out = inout, .in = inout, .type = type, .op = op}, same_for_all(inout));
}

Result<Work> MeshGroup::all_gather(Buffer in, Buffer out, DType type, Stream stream) {
  WEFT_TRY(usable(stream));
  WEFT_TRY(check(in, type));
  WEFT_TRY(check(out, type));
  if (out.size != in.size * index(spec_.size)) return refuse(ErrorCode::invalid_argument, "out must hold all parts");
  Operation operation{.kind = Kind::gather, .out = out, .in = in, .type = type};
  operation.parts.assign(index(spec_.size), in.size);
  return begin(std::move(operation), same_for_all(in));
}

Result<Work> MeshGroup::reduce_scatter(Buffer in, Buffer out, DType type, ReduceOp op, Stream stream) {
  WEFT_TRY(usable(stream));
  WEFT_TRY(check(in, type));
  WEFT_TRY(check(out, type));
  if (static_cast<int>(op) > 2 && !breaks("any_reduction")) return refuse(ErrorCode::invalid_argument, "unknown op");
  if (in.size != out.size * index(spec_.size)) return refuse(ErrorCode::invalid_argument, "in must hold all parts");
  std::vector<std::span<const std::byte>> parts;
  for (std::int32_t peer = 0; peer < spec_.size; ++peer) {
    const std::int32_t part = breaks("parts_shifted") ? (peer + 1) % spec_.size : peer;
    parts.emplace_back(in.as<const std::byte>() + index(part) * out.size, out.size);
  }
  return begin({.kind = Kind::reduce_scatter, .out = out, .in = in, .type = type, .op = op}, parts);
}

Result<Work> MeshGroup::broadcast(Buffer inout, DType type, std::int32_t root, Stream stream) {
  WEFT_TRY(usable(stream));
  WEFT_TRY(check(inout, type));
  if (spec_.size == 1 && breaks("alone_takes_any_root")) root = 0;
  if (root < 0 || root >= spec_.size) return refuse(ErrorCode::invalid_argument, "no such root");
  if (breaks("root_is_zero")) root = 0;
  return begin({.kind = Kind::broadcast, .out = inout, .in = inout, .type = type, .root = root}, same_for_all(inout));
}

Result<Work> MeshGroup::all_to_all(Buffer in, Buffer out, DType type, Stream stream) {
  if (in.size != out.size || in.size % (index(spec_.size) * std::max<std::size_t>(weft::size_of(type), 1)) != 0) {
    WEFT_TRY(usable(stream));
    return refuse(ErrorCode::invalid_argument, "equal parts");
  }
  const std::vector<weft::Bytes> parts(index(spec_.size), in.size / index(spec_.size));
  return exchange(Kind::exchange, in, parts, out, parts, type, stream);
}

Result<Work> MeshGroup::all_to_all_v(Buffer in, std::span<const weft::Bytes> in_parts, Buffer out,
                                     std::span<const weft::Bytes> out_parts, DType type, Stream stream) {
  return exchange(Kind::exchange_v, in, in_parts, out, out_parts, type, stream);
}

Result<Work> MeshGroup::exchange(Kind kind, Buffer in, std::span<const weft::Bytes> in_parts, Buffer out,
                                 std::span<const weft::Bytes> out_parts, DType type, Stream stream) {
  WEFT_TRY(usable(stream));
  WEFT_TRY(check(in, type));
  WEFT_TRY(check(out, type));
  WEFT_TRY(check_parts(in_parts, in, type));
  WEFT_TRY(check_parts(out_parts, out, type));
  std::vector<std::span<const std::byte>> parts;
  const std::byte* data = in.as<const std::byte>();
  for (const weft::Bytes part : in_parts) {
    parts.emplace_back(data, part);
    data += part;
  }
  Operation operation{.kind = kind, .out = out, .in = in, .type = type};
  operation.parts.assign(out_parts.begin(), out_parts.end());
  return begin(std::move(operation), parts);
}

Status MeshGroup::check_message(Buffer buffer, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) {
  WEFT_TRY(usable(stream));
  WEFT_TRY(check(buffer, type));
  if (peer < 0 || peer >= spec_.size) return refuse(ErrorCode::invalid_argument, "no such peer");
  if (peer == spec_.rank && !breaks("self_accepted")) return refuse(ErrorCode::invalid_argument, "oneself");
  if (tag > 65535 && !breaks("any_tag")) return refuse(ErrorCode::invalid_argument, "no such tag");
  return take_place(peer);
}

Status MeshGroup::take_place(std::int32_t peer) {
  if (!breaks("two_peers_at_a_time")) return {};
  std::set<std::int32_t> peers{peer};
  for (const auto& [ticket, other] : places_)
    peers.insert(other);
  if (peers.size() > 2) return weft::fail(ErrorCode::resource_exhausted, "mutant: messages with two peers at most");
  places_[tickets_ + 1] = peer;
  return {};
}

Status MeshGroup::await_recv(std::int32_t peer, std::uint32_t tag) {
  std::deque<Bytes>& begun = mesh_.peer(peer).mail[tag + recv_begun];
  for (const Deadline soon = Deadline::in(std::chrono::milliseconds(300)); begun.empty() && !soon.passed(); advance())
    mesh_.wait(wake_.get(), soon);
  if (begun.empty()) return weft::fail(ErrorCode::unavailable, "mutant: nobody takes the message", true);
  begun.pop_front();
  return {};
}

Result<Work> MeshGroup::send(Buffer in, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) {
  WEFT_TRY(check_message(in, type, peer, tag, stream));
  if (peer == spec_.rank || in.size == 0) return Work{};
  if (breaks("send_waits_for_recv")) WEFT_TRY(await_recv(peer, tag));
  Operation operation{.kind = Kind::send, .in = in, .type = type, .root = peer, .tag = tag};
  operation.writes.resize(index(spec_.size));
  operation.writes[index(peer)] = mesh_.queue_message(peer, tag, {in.as<const std::byte>(), in.size});
  return record(std::move(operation));
}

Result<Work> MeshGroup::recv(Buffer out, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) {
  WEFT_TRY(check_message(out, type, peer, tag, stream));
  if (peer == spec_.rank || out.size == 0) return Work{};
  if (breaks("send_waits_for_recv")) mesh_.queue_message(peer, tag + recv_begun, {});
  Operation operation{.kind = Kind::recv, .out = out, .type = type, .root = peer, .tag = tag};
  operation.writes.resize(index(spec_.size));
  Result<Work> work = record(std::move(operation));
  if (breaks("recv_waits")) WEFT_TRY(work->wait(Deadline::in(std::chrono::milliseconds(500))));
  return work;
}

Result<Work> MeshGroup::barrier(Stream stream) {
  WEFT_TRY(usable(stream));
  if (breaks("barrier_waits_for_nobody")) return Work{};
  return begin({.kind = Kind::barrier}, same_for_all({}));
}

void MeshGroup::advance() {
  mesh_.pump();
  for (auto operation = pending_.begin(); operation != pending_.end() && !broken_;) {
    if (!is_ready(*operation)) {
      // Messages of one peer and tag are taken in their order.
      ++operation;
      continue;
    }
    finish(*operation);
    operation = pending_.erase(operation);
  }
}

Error MeshGroup::reason() {
  const std::lock_guard lock(mutex_);
  return reason_.value_or(Error{ErrorCode::internal, "mutant: no reason", false});
}

Error MeshGroup::late(const Operation& operation) {
  std::string names;
  for (std::int32_t peer = 0; peer < spec_.size; ++peer)
    if (!has_come(operation, peer) || !is_out(operation, peer)) names += " " + member_name(spec_, peer);
  if (breaks("deadline_names_nobody")) names = " somebody";
  return {ErrorCode::deadline_exceeded, "mutant: group '" + spec_.id + "': missing:" + names, true};
}

Status MeshGroup::wait(std::uint64_t ticket, Deadline deadline) {
  in_wait_ = true;
  Status status = wait_for(ticket, deadline);
  in_wait_ = false;
  places_.erase(ticket);
  return status;
}

Status MeshGroup::wait_for(std::uint64_t ticket, Deadline deadline) {
  if (breaks("waits_late") && deadline.at() != weft::Time::max()) deadline = Deadline(deadline.at() + too_long());
  while (true) {
    if (!broken_) advance();
    const auto found = std::find_if(pending_.begin(), pending_.end(),
                                    [&](const Operation& operation) { return operation.ticket == ticket; });
    if (found == pending_.end()) {
      if (breaks("waited_for_once") && !waited_.insert(ticket).second)
        return weft::fail(ErrorCode::failed_precondition, "mutant: waited for already");
      return {};
    }
    if (broken_) return weft::fail(reason());
    const Deadline until = deadline.earlier(found->deadline);
    if (until.passed())
      break_off(late(*found));
    else if (breaks("abort_wakes_nobody"))
      mesh_.wait(-1, Deadline::in(too_long()).earlier(until));
    else
      mesh_.wait(wake_.get(), until);
  }
}

bool MeshGroup::done(std::uint64_t ticket) {
  if (breaks("never_done")) return false;
  if (broken_) return true;
  advance();
  return broken_ || std::none_of(pending_.begin(), pending_.end(),
                                 [&](const Operation& operation) { return operation.ticket == ticket; });
}

void MeshGroup::abort(Error why) noexcept {
  if (breaks("abort_without_a_wait_is_lost") && !in_wait_) return;
  if (breaks("busy_abort_loses_its_reason") && sequences_ > 2) why = {ErrorCode::internal, "mutant: busy", false};
  if (breaks("abort_counts_as_heard")) mesh_.say_farewell();
  break_off(std::move(why));
}

void MeshGroup::break_off(Error why) noexcept {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  if (reason_ && !breaks("last_abort_counts")) return;
  if (breaks("abort_says_little")) why = {ErrorCode::aborted, "mutant: aborted", false};
  reason_ = std::move(why);
  broken_ = true;
  if (breaks("abort_wakes_nobody")) return;
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
  mesh_.shut_down();
}

void MeshGroup::end_all_others() {
  const std::lock_guard lock(process_mutex_);
  for (MeshGroup* const other : living_)
    if (other != this) other->break_off({ErrorCode::aborted, "mutant: another group was closed", false});
}

Status MeshGroup::close(Deadline deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ && breaks("close_once")) return weft::fail(ErrorCode::failed_precondition, "mutant: closed already");
    if (closed_) return {};
    closed_ = true;
    if (!reason_) reason_ = Error{ErrorCode::failed_precondition, "mutant: the group is closed", false};
  }
  if (!pending_.empty() && breaks("close_waits")) mesh_.wait(-1, Deadline::in(too_long() + std::chrono::seconds(1)));
  if (!breaks("calls_after_close")) broken_ = true;
  if (breaks("close_counts_as_heard")) mesh_.say_farewell();
  if (breaks("a_close_ends_all")) end_all_others();
  {
    const std::lock_guard lock(mutex_);
    mesh_ = Mesh{};
    allocated_.clear();
    end_segment(segment_);
  }
  leave_process(spec_);
  if (spec_.size == 1) return {};
  return leave(spec_, deadline);
}

void* MeshGroup::query(std::string_view interface_id) {
  return breaks("query_invents") && interface_id.empty() ? this : nullptr;
}

}  // namespace mutant
