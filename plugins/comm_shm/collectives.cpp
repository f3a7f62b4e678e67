#include "plugins/comm_shm/collectives.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "plugins/common/reduce.h"

namespace weft::comm_shm {
namespace {

using plugins::Kind;

constexpr Bytes max_part = Bytes{1} << 48;

void copy_bytes(std::byte* to, const std::byte* from, Bytes bytes) {
  if (bytes != 0 && to != from) std::memcpy(to, from, bytes);
}

}  // namespace

Collectives::Collectives(Peers& peers, Bytes one_shot)
    : peers_(peers),
      steps_(peers),
      segment_(peers.segment()),
      rank_(peers.rank()),
      size_(peers.size()),
      one_shot_(std::min(one_shot, segment_.layout().slot_data)),
      direct_(static_cast<std::size_t>(size_)),
      sources_(direct_.size()),
      given_at_(direct_.size()),
      taken_at_(direct_.size()),
      placed_at_(direct_.size()) {}

Outcome Collectives::run(const Operation& operation, Deadline deadline) {
  switch (operation.call.kind) {
    case Kind::hello: break;
    case Kind::barrier: return barrier(operation, deadline);
    case Kind::all_to_all_v: return all_to_all(operation, deadline);  // no bytes here may still be some elsewhere
    case Kind::all_to_all: return operation.in.size == 0 ? Outcome{} : all_to_all(operation, deadline);
    case Kind::broadcast: return operation.in.size == 0 ? Outcome{} : broadcast(operation, deadline);
    case Kind::all_gather: return operation.in.size == 0 ? Outcome{} : all_gather(operation, deadline);
    case Kind::all_reduce: return operation.in.size == 0 ? Outcome{} : all_reduce(operation, deadline);
    case Kind::reduce_scatter: return operation.in.size == 0 ? Outcome{} : reduce_scatter(operation, deadline);
  }
  return {};
}

Outcome Collectives::begin(const Operation& operation, Buffer data, bool may_be_direct, Deadline deadline) {
  if (Outcome taken = steps_.take_slot(deadline); !taken) return taken;
  std::fill(direct_.begin(), direct_.end(), not_direct);
  span_ = data.size;
  SlotHeader& header = steps_.header();
  header.call = operation.call;
  header.direct = not_direct;
  const auto heap = reinterpret_cast<std::uintptr_t>(segment_.heap(rank_));
  const auto begins = reinterpret_cast<std::uintptr_t>(data.data);
  const Bytes heap_bytes = segment_.layout().heap;
  if (may_be_direct && begins >= heap && begins - heap < heap_bytes && data.size <= heap_bytes - (begins - heap))
    header.direct = direct_[static_cast<std::size_t>(rank_)] = begins - heap;
  return {};
}

Outcome Collectives::next_chunk(Bytes offset, Deadline deadline) {
  return offset == 0 ? Outcome{} : steps_.take_slot(deadline);
}

Outcome Collectives::meet(std::int32_t peer, const Operation& operation, Bytes offset, Deadline deadline) {
  if (Outcome here = steps_.await(peer, deadline); !here) return here;
  if (offset != 0) return {};
  const SlotHeader header = copy_out(steps_.header_of(peer));
  plugins::Call expected = operation.call;
  if (expected.kind == Kind::all_to_all_v) expected.total = header.call.total;
  if (header.call != expected) return plugins::failed(peer, plugins::different_calls(header.call, operation.call));
  const Bytes heap = segment_.layout().heap;
  const Bytes span = expected.kind == Kind::all_to_all_v ? header.call.total : span_;
  if (header.direct != not_direct &&
      (header.direct > heap || span > heap - header.direct || header.direct % size_of(operation.type) != 0))
    return plugins::failed(peer, Error{ErrorCode::data_loss, "says that its data lies outside its memory"});
  direct_[static_cast<std::size_t>(peer)] = header.direct;
  return {};
}

Outcome Collectives::meet_all(const Operation& operation, Bytes offset, Deadline deadline) {
  for (std::int32_t step = 1; step < size_; ++step)
    if (Outcome same = meet((rank_ + step) % size_, operation, offset, deadline); !same) return same;
  return {};
}

Outcome Collectives::end(Deadline deadline) {
  if (std::all_of(direct_.begin(), direct_.end(), [](std::uint64_t at) { return at == not_direct; })) return {};
  steps_.post();
  return direct(rank_) ? steps_.await_all(deadline) : Outcome{};
}

const std::byte* Collectives::source(std::int32_t rank, Bytes direct_offset, Bytes slot_offset) const noexcept {
  return direct(rank) ? segment_.heap(rank) + direct_[static_cast<std::size_t>(rank)] + direct_offset
                      : steps_.data_of(rank) + slot_offset;
}

void Collectives::reduce(const Operation& operation, const std::byte* own, Bytes direct_offset, Bytes slot_offset,
                         Bytes bytes, std::byte* out) noexcept {
  for (std::int32_t peer = 0; peer < size_; ++peer)
    sources_[static_cast<std::size_t>(peer)] = peer == rank_ ? own : source(peer, direct_offset, slot_offset);
  plugins::reduce_in_rank_order(operation.type, operation.op, sources_, bytes / size_of(operation.type), out);
}

Outcome Collectives::barrier(const Operation& operation, Deadline deadline) {
  if (Outcome begun = begin(operation, {}, false, deadline); !begun) return begun;
  steps_.post();
  return meet_all(operation, 0, deadline);
}

Outcome Collectives::broadcast(const Operation& operation, Deadline deadline) {
  const std::int32_t root = operation.call.root;
  auto* data = operation.out.as<std::byte>();
  const Bytes chunk = segment_.layout().slot_data;
  // A root waits for nobody as long as it has a free slot; looking first keeps a dead rank from being a false ok.
  if (root == rank_)
    if (Outcome all_live = peers_.look(); !all_live) return all_live;
  if (Outcome begun = begin(operation, operation.in, root == rank_, deadline); !begun) return begun;
  for (Bytes offset = 0; offset < operation.out.size; offset += chunk) {
    if (Outcome taken = next_chunk(offset, deadline); !taken) return taken;
    const Bytes bytes = std::min(chunk, operation.out.size - offset);
    if (root == rank_ && !direct(rank_)) copy_bytes(steps_.data(), data + offset, bytes);
    steps_.post();
    if (root == rank_) continue;
    if (Outcome same = meet(root, operation, offset, deadline); !same) return same;
    copy_bytes(data + offset, source(root, offset, 0), bytes);
  }
  return end(deadline);
}

Outcome Collectives::all_gather(const Operation& operation, Deadline deadline) {
  const auto* in = operation.in.as<const std::byte>();
  auto* out = operation.out.as<std::byte>();
  const Bytes total = operation.in.size;
  const Bytes chunk = segment_.layout().slot_data;
  if (Outcome begun = begin(operation, operation.in, true, deadline); !begun) return begun;
  for (Bytes offset = 0; offset < total; offset += chunk) {
    if (Outcome taken = next_chunk(offset, deadline); !taken) return taken;
    const Bytes bytes = std::min(chunk, total - offset);
    if (!direct(rank_)) copy_bytes(steps_.data(), in + offset, bytes);
    steps_.post();
    copy_bytes(out + static_cast<Bytes>(rank_) * total + offset, in + offset, bytes);
    for (std::int32_t step = 1; step < size_; ++step) {
      const std::int32_t peer = (rank_ + step) % size_;
      if (Outcome same = meet(peer, operation, offset, deadline); !same) return same;
      copy_bytes(out + static_cast<Bytes>(peer) * total + offset, source(peer, offset, 0), bytes);
    }
  }
  return end(deadline);
}

Outcome Collectives::all_reduce(const Operation& operation, Deadline deadline) {
  const bool small = operation.in.size <= one_shot_;
  // One shot writes over this rank's buffer while others may still read their operands: those must be in a slot.
  if (Outcome begun = begin(operation, operation.in, !small, deadline); !begun) return begun;
  const Bytes chunk = segment_.layout().slot_data;
  for (Bytes offset = 0; offset < operation.in.size; offset += chunk) {
    if (Outcome taken = next_chunk(offset, deadline); !taken) return taken;
    const Bytes bytes = std::min(chunk, operation.in.size - offset);
    Outcome summed =
        small ? one_shot(operation, offset, bytes, deadline) : two_shot(operation, offset, bytes, deadline);
    if (!summed) return summed;
  }
  return end(deadline);
}

Outcome Collectives::one_shot(const Operation& operation, Bytes offset, Bytes bytes, Deadline deadline) {
  auto* data = operation.out.as<std::byte>() + offset;
  copy_bytes(steps_.data(), data, bytes);
  steps_.post();
  if (Outcome same = meet_all(operation, offset, deadline); !same) return same;
  reduce(operation, data, offset, 0, bytes, data);
  return {};
}

Outcome Collectives::two_shot(const Operation& operation, Bytes offset, Bytes bytes, Deadline deadline) {
  auto* data = operation.out.as<std::byte>() + offset;
  const Bytes begins = plugins::share_begin(bytes, rank_, size_);
  const Bytes ends = plugins::share_begin(bytes, rank_ + 1, size_);
  if (!direct(rank_)) {  // all but this rank's own share, which nobody else reads
    copy_bytes(steps_.data(), data, begins);
    copy_bytes(steps_.data() + ends, data + ends, bytes - ends);
  }
  steps_.post();
  if (Outcome same = meet_all(operation, offset, deadline); !same) return same;
  reduce(operation, data + begins, offset + begins, begins, ends - begins, data + begins);
  if (!direct(rank_)) copy_bytes(steps_.data() + begins, data + begins, ends - begins);
  steps_.post();
  for (std::int32_t step = 1; step < size_; ++step) {
    const std::int32_t peer = (rank_ + step) % size_;
    if (Outcome here = steps_.await(peer, deadline); !here) return here;
    const Bytes from = plugins::share_begin(bytes, peer, size_);
    copy_bytes(data + from, source(peer, offset + from, from), plugins::share_begin(bytes, peer + 1, size_) - from);
  }
  return {};
}

Outcome Collectives::reduce_scatter(const Operation& operation, Deadline deadline) {
  const auto* in = operation.in.as<const std::byte>();
  auto* out = operation.out.as<std::byte>();
  const Bytes part = operation.out.size;
  // A slot holds a piece for each rank.
  const Bytes piece = segment_.layout().slot_data / static_cast<Bytes>(size_) / line * line;
  if (Outcome begun = begin(operation, operation.in, true, deadline); !begun) return begun;
  const auto at = [&](std::int32_t rank, Bytes stride) { return static_cast<Bytes>(rank) * stride; };
  for (Bytes offset = 0; offset < part; offset += piece) {
    if (Outcome taken = next_chunk(offset, deadline); !taken) return taken;
    const Bytes bytes = std::min(piece, part - offset);
    for (std::int32_t peer = 0; peer < size_ && !direct(rank_); ++peer)
      if (peer != rank_) copy_bytes(steps_.data() + at(peer, piece), in + at(peer, part) + offset, bytes);
    steps_.post();
    if (Outcome same = meet_all(operation, offset, deadline); !same) return same;
    reduce(operation, in + at(rank_, part) + offset, at(rank_, part) + offset, at(rank_, piece), bytes, out + offset);
  }
  return end(deadline);
}

// Checks what each rank gives this one against what this one expects, and finds the longest part of all.
Outcome Collectives::check_parts(const Operation& operation, Bytes& longest) {
  for (std::int32_t peer = 0; peer < size_; ++peer) {
    const auto index = static_cast<std::size_t>(peer);
    if (peer == rank_) continue;
    const PartEntry given = copy_out(steps_.parts_of(peer)[rank_]);
    const Bytes theirs = copy_out(steps_.header_of(peer).longest);
    if (given.bytes != operation.out_parts[index])
      return plugins::failed(peer, Error{ErrorCode::invalid_argument,
                                         fmt::format("gives {} bytes in {} number {}, where this rank takes {}",
                                                     given.bytes, to_string(operation.call.kind),
                                                     operation.call.sequence, operation.out_parts[index])});
    const Bytes heap = segment_.layout().heap;
    if (theirs > max_part)
      return plugins::failed(peer, Error{ErrorCode::data_loss, "says that it gives more bytes than can be"});
    if (direct(peer) && (given.offset > heap - direct_[index] || given.bytes > heap - direct_[index] - given.offset ||
                         given.offset % size_of(operation.type) != 0))
      return plugins::failed(peer, Error{ErrorCode::data_loss, "says that its data lies outside its memory"});
    taken_at_[index] = given.offset;
    longest = std::max(longest, theirs);
  }
  return {};
}

Outcome Collectives::all_to_all(const Operation& operation, Deadline deadline) {
  const auto* in = operation.in.as<const std::byte>();
  auto* out = operation.out.as<std::byte>();
  const Bytes piece = segment_.layout().slot_data / static_cast<Bytes>(size_) / line * line;
  if (Outcome begun = begin(operation, operation.in, true, deadline); !begun) return begun;
  Bytes longest = 0, given = 0, placed = 0;
  for (std::int32_t peer = 0; peer < size_; ++peer) {
    const auto index = static_cast<std::size_t>(peer);
    given_at_[index] = given;
    placed_at_[index] = placed;
    placed += operation.out_parts[index];
    steps_.parts()[peer] = {.offset = given, .bytes = operation.in_parts[index]};
    given += operation.in_parts[index];
    longest = std::max(longest, operation.in_parts[index]);
  }
  steps_.header().longest = longest;
  Bytes offset = 0;
  // Bytes of chunk `offset` of a part.
  const auto length = [&](Bytes part) { return offset < part ? std::min(piece, part - offset) : 0; };
  for (; offset == 0 || offset < longest; offset += piece) {
    if (Outcome taken = next_chunk(offset, deadline); !taken) return taken;
    for (std::int32_t peer = 0; peer < size_ && !direct(rank_); ++peer) {
      const auto index = static_cast<std::size_t>(peer);
      const Bytes bytes = peer == rank_ ? 0 : length(operation.in_parts[index]);
      if (bytes != 0)
        copy_bytes(steps_.data() + static_cast<Bytes>(peer) * piece, in + given_at_[index] + offset, bytes);
    }
    steps_.post();
    if (Outcome same = meet_all(operation, offset, deadline); !same) return same;
    if (offset == 0)
      if (Outcome fits = check_parts(operation, longest); !fits) return fits;
    for (std::int32_t peer = 0; peer < size_; ++peer) {
      const auto index = static_cast<std::size_t>(peer);
      const Bytes bytes = length(operation.out_parts[index]);
      if (bytes == 0) continue;
      const std::byte* from = peer == rank_
                                  ? in + given_at_[index] + offset
                                  : source(peer, taken_at_[index] + offset, static_cast<Bytes>(rank_) * piece);
      copy_bytes(out + placed_at_[index] + offset, from, bytes);
    }
  }
  return end(deadline);
}

}  // namespace weft::comm_shm
