#include "tests/conformance/mutants/communicator/group.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "tests/conformance/mutants/communicator/arithmetic.h"
#include "tests/conformance/mutants/communicator/leaks.h"
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

std::size_t index(std::int32_t rank) { return static_cast<std::size_t>(rank); }

}  // namespace

MeshGroup::MeshGroup(const weft::GroupSpec& spec, Mesh mesh)
    : spec_(spec), mesh_(std::move(mesh)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), segment_(leak_at_open()) {}

MeshGroup::~MeshGroup() {
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
  pending_.push_back(std::move(operation));
  advance();
  return Work(*this, tickets_);
}

Result<Work> MeshGroup::begin(Operation operation, const std::vector<std::span<const std::byte>>& parts) {
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
  return all_to_all_v(in, parts, out, parts, type, stream);
}

Result<Work> MeshGroup::all_to_all_v(Buffer in, std::span<const weft::Bytes> in_parts, Buffer out,
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
  Operation operation{.kind = Kind::exchange, .out = out, .in = in, .type = type};
  operation.parts.assign(out_parts.begin(), out_parts.end());
  return begin(std::move(operation), parts);
}

Result<Work> MeshGroup::send(Buffer in, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) {
  WEFT_TRY(usable(stream));
  WEFT_TRY(check(in, type));
  if (peer < 0 || peer >= spec_.size) return refuse(ErrorCode::invalid_argument, "no such peer");
  if (peer == spec_.rank && !breaks("self_accepted")) return refuse(ErrorCode::invalid_argument, "oneself");
  if (tag > 65535 && !breaks("any_tag")) return refuse(ErrorCode::invalid_argument, "no such tag");
  if (peer == spec_.rank || in.size == 0) return Work{};
  Operation operation{.kind = Kind::send, .in = in, .type = type, .root = peer, .tag = tag};
  operation.writes.resize(index(spec_.size));
  operation.writes[index(peer)] = mesh_.queue_message(peer, tag, {in.as<const std::byte>(), in.size});
  return record(std::move(operation));
}

Result<Work> MeshGroup::recv(Buffer out, DType type, std::int32_t peer, std::uint32_t tag, Stream stream) {
  WEFT_TRY(usable(stream));
  WEFT_TRY(check(out, type));
  if (peer < 0 || peer >= spec_.size) return refuse(ErrorCode::invalid_argument, "no such peer");
  if (peer == spec_.rank) return refuse(ErrorCode::invalid_argument, "oneself");
  if (tag > 65535 && !breaks("any_tag")) return refuse(ErrorCode::invalid_argument, "no such tag");
  if (out.size == 0) return Work{};
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

bool MeshGroup::needs(const Operation& operation, std::int32_t peer) const {
  if (peer == spec_.rank || operation.kind == Kind::send) return false;
  if (operation.kind == Kind::recv || operation.kind == Kind::broadcast) return peer == operation.root;
  return true;
}

bool MeshGroup::has_come(const Operation& operation, std::int32_t peer) {
  if (!needs(operation, peer)) return true;
  const Peer& other = mesh_.peer(peer);
  if (operation.kind != Kind::recv) return other.collectives.contains(operation.sequence);
  const auto mail = other.mail.find(breaks("tag_ignored") ? 0 : operation.tag);
  return mail != other.mail.end() && !mail->second.empty();
}

bool MeshGroup::is_out(const Operation& operation, std::int32_t peer) {
  return mesh_.peer(peer).written >= operation.writes[index(peer)];
}

bool MeshGroup::is_ready(const Operation& operation) {
  bool ready = true;
  for (std::int32_t peer = 0; peer < spec_.size; ++peer) {
    if (has_come(operation, peer) && is_out(operation, peer)) continue;
    const bool gone = mesh_.peer(peer).gone;
    if (gone && breaks("ok_without_the_dead")) continue;
    if (gone) abort({ErrorCode::unavailable, "mutant: " + member_name(spec_, peer) + " closed its connection", true});
    ready = false;
  }
  return ready;
}

void MeshGroup::finish(Operation& operation) {
  if (operation.kind == Kind::send) return;
  if (operation.kind != Kind::recv) return finish_collective(operation);
  std::deque<Bytes>& mail = mesh_.peer(operation.root).mail[breaks("tag_ignored") ? 0 : operation.tag];
  if (mail.empty()) return;  // only where the dead count as heard
  const Bytes& data = mail.front();
  std::memcpy(operation.out.data, data.data(), std::min<std::size_t>(data.size(), operation.out.size));
  mail.pop_front();
}

void MeshGroup::finish_collective(Operation& operation) {
  std::vector<Bytes> all(index(spec_.size));
  for (std::int32_t peer = 0; peer < spec_.size; ++peer) {
    all[index(peer)] = std::move(operation.own);
    if (peer == spec_.rank) continue;
    operation.own = std::move(all[index(peer)]);
    auto& come = mesh_.peer(peer).collectives;
    if (const auto found = come.find(operation.sequence); found != come.end()) {
      all[index(peer)] = std::move(found->second);
      come.erase(found);
    }
  }
  auto* const out = operation.out.as<std::byte>();
  const auto copy = [&](std::byte* to, const Bytes& data, weft::Bytes bytes) {
    if (bytes != 0) std::memcpy(to, data.data(), std::min<std::size_t>(bytes, data.size()));
  };
  if (operation.kind == Kind::broadcast) copy(out, all[index(operation.root)], operation.out.size);
  if (operation.kind == Kind::gather || operation.kind == Kind::exchange) {
    std::byte* to = out;
    for (std::size_t peer = 0; peer < all.size(); to += operation.parts[peer++]) {
      if (breaks("own_part_left_out") && peer == index(spec_.rank)) continue;
      const bool turned = operation.kind == Kind::gather && breaks("gather_turned");
      copy(to, all[turned ? (peer + 1) % all.size() : peer], operation.parts[peer]);
    }
  }
  const std::size_t width = weft::size_of(operation.type);
  if (operation.kind == Kind::all_reduce || operation.kind == Kind::reduce_scatter) {
    std::vector<const std::byte*> sources;
    for (Bytes& data : all) {
      data.resize(operation.out.size);
      sources.push_back(data.data());
    }
    std::size_t count = operation.out.size / width;
    if (breaks("last_of_odd_dropped") && count % 2 != 0 && count > 1) --count;
    reduce(operation.type, operation.op, sources, index(spec_.rank), count, out);
  }
  if (operation.kind == Kind::reduce_scatter && breaks("input_is_scratch") && operation.out.size != 0)
    std::memcpy(operation.in.data, out, operation.out.size);
  if (breaks("writes_past_the_end") && operation.out.size % 8 != 0) out[operation.out.size] = std::byte{0};
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
      abort(late(*found));
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
  {
    const std::lock_guard lock(mutex_);
    mesh_ = Mesh{};
    allocated_.clear();
    end_segment(segment_);
  }
  if (spec_.size == 1) return {};
  return leave(spec_, deadline);
}

void* MeshGroup::query(std::string_view interface_id) {
  return breaks("query_invents") && interface_id.empty() ? this : nullptr;
}

}  // namespace mutant
