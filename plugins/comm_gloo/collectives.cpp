// The collectives of a group as exchanges of parts (exchange.h).
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "plugins/comm_gloo/group.h"
#include "plugins/comm_gloo/pipe_signal.h"
#include "plugins/comm_gloo/reduce.h"

namespace weft::comm_gloo {
namespace {

// Where rank `rank`'s share of `bytes` begins when `size` ranks share whole blocks of them. Blocks of 512
// bytes keep shares on the boundaries of cache lines and of every element type.
Bytes share_begin(Bytes bytes, std::int32_t rank, std::int32_t size) {
  constexpr Bytes unit = 512;
  const Bytes blocks = (bytes + unit - 1) / unit;
  return std::min(bytes, blocks * static_cast<Bytes>(rank) / static_cast<Bytes>(size) * unit);
}

void copy(std::byte* to, std::span<const std::byte> from) {
  if (!from.empty() && to != from.data()) std::memcpy(to, from.data(), from.size());
}

}  // namespace

Status GlooGroup::finish_pending(Deadline deadline) {
  if (pending_.ticket == 0) return {};
  if (broken_.load(std::memory_order_acquire)) return fail(break_with({}));
  const PipeSignalGuard guard;
  const Outcome outcome = run(pending_, pending_.deadline.earlier(deadline));
  if (!outcome) return fail(break_with(outcome.error()));
  pending_.ticket = 0;
  return {};
}

Outcome GlooGroup::run(const Pending& pending, Deadline deadline) {
  FrameHeader header = pending.header;
  auto* out = pending.out.as<std::byte>();
  switch (header.kind) {
    case Kind::hello: break;
    case Kind::all_reduce: return run_all_reduce(pending, deadline);
    case Kind::all_gather: {
      for (std::size_t peer = 0; peer < parts_.size(); ++peer)
        in_parts_[peer] = pending.in.size;
      return run_gather(pending.in.as<const std::byte>(), in_parts_, out, header, deadline);
    }
    case Kind::reduce_scatter:
      for (std::size_t peer = 0; peer < parts_.size(); ++peer)
        parts_[peer] = {pending.in.as<const std::byte>() + peer * pending.out.size, pending.out.size, pending.out.size};
      return run_reduce(pending, out, header, deadline);
    case Kind::broadcast:
      if (!fabric_.exchange) return {};
      return fabric_.exchange->broadcast({out, pending.out.size}, header, deadline);
    case Kind::all_to_all:
    case Kind::all_to_all_v: return run_all_to_all(pending, deadline);
    case Kind::barrier:
      std::fill(parts_.begin(), parts_.end(), Part{});
      return run_exchange(header, true, deadline, [](Bytes, Pieces) {});
  }
  return {};
}

Outcome GlooGroup::run_exchange(const FrameHeader& header, bool always, Deadline deadline, const Take& take) {
  if (fabric_.exchange) return fabric_.exchange->exchange(parts_, header, always, deadline, take);
  const std::span<const std::byte> own(parts_[0].out, parts_[0].out_bytes);
  if (!own.empty()) take(0, {&own, 1});
  return {};
}

// Sums parts_ into `out`: everybody's part for this rank, all of one length.
Outcome GlooGroup::run_reduce(const Pending& pending, std::byte* out, const FrameHeader& header, Deadline deadline) {
  auto reduce = [&](Bytes offset, Pieces pieces) {
    // Rounds beyond this rank's own part only carry the ends of longer ones to others.
    const std::size_t bytes = pieces[static_cast<std::size_t>(spec_.rank)].size();
    if (bytes == 0) return;
    for (std::size_t peer = 0; peer < pieces.size(); ++peer)
      sources_[peer] = pieces[peer].data();
    reduce_in_rank_order(pending.type, pending.op, sources_, bytes / size_of(pending.type), out + offset);
  };
  return run_exchange(header, false, deadline, std::ref(reduce));
}

// Everybody's `lengths[peer]` bytes, this rank's at `own`, end to end into `out`.
Outcome GlooGroup::run_gather(const std::byte* own, std::span<const Bytes> lengths, std::byte* out,
                              const FrameHeader& header, Deadline deadline) {
  const auto self = static_cast<std::size_t>(spec_.rank);
  for (std::size_t peer = 0; peer < parts_.size(); ++peer)
    parts_[peer] = {own, lengths[self], lengths[peer]};
  auto place = [&](Bytes offset, Pieces pieces) {
    std::byte* to = out;
    for (std::size_t peer = 0; peer < pieces.size(); to += lengths[peer++])
      copy(to + offset, pieces[peer]);
  };
  return run_exchange(header, false, deadline, std::ref(place));
}

Outcome GlooGroup::run_all_reduce(const Pending& pending, Deadline deadline) {
  auto* data = pending.out.as<std::byte>();
  const Bytes bytes = pending.out.size;
  FrameHeader header = pending.header;
  if (spec_.size <= 2 || bytes <= gather_bytes_) {
    // Everybody gets everything and sums it himself: one exchange, and for two ranks no byte more than any
    // other way.
    std::fill(parts_.begin(), parts_.end(), Part{data, bytes, bytes});
    return run_reduce(pending, data, header, deadline);
  }
  const auto begin = [&](std::int32_t rank) { return share_begin(bytes, rank, spec_.size); };
  const Bytes own = begin(spec_.rank + 1) - begin(spec_.rank);
  for (std::int32_t peer = 0; peer < spec_.size; ++peer) {
    in_parts_[static_cast<std::size_t>(peer)] = begin(peer + 1) - begin(peer);
    parts_[static_cast<std::size_t>(peer)] = {data + begin(peer), begin(peer + 1) - begin(peer), own};
  }
  if (Outcome outcome = run_reduce(pending, data + begin(spec_.rank), header, deadline); !outcome) return outcome;
  header.phase = 1;
  return run_gather(data + begin(spec_.rank), in_parts_, data, header, deadline);
}

Outcome GlooGroup::run_all_to_all(const Pending& pending, Deadline deadline) {
  const auto* in = pending.in.as<const std::byte>();
  for (std::size_t peer = 0; peer < parts_.size(); in += in_parts_[peer++])
    parts_[peer] = {in, in_parts_[peer], out_parts_[peer]};
  auto place = [&](Bytes offset, Pieces pieces) {
    auto* to = pending.out.as<std::byte>();
    for (std::size_t peer = 0; peer < pieces.size(); to += out_parts_[peer++])
      copy(to + offset, pieces[peer]);
  };
  return run_exchange(pending.header, false, deadline, std::ref(place));
}

}  // namespace weft::comm_gloo
