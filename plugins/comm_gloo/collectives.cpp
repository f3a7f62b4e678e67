// The collectives of a group as exchanges of parts (exchange.h).
#include <algorithm>
#include <cstring>
#include <functional>

#include "plugins/comm_gloo/pipe_signal.h"
#include "plugins/comm_gloo/transport.h"
#include "plugins/common/reduce.h"

namespace weft::comm_gloo {
namespace {

void copy(std::byte* to, std::span<const std::byte> from) {
  if (!from.empty() && to != from.data()) std::memcpy(to, from.data(), from.size());
}

}  // namespace

Outcome GlooTransport::run(const Operation& operation, Deadline deadline) {
  const PipeSignalGuard guard;
  const FrameHeader header{.kind = operation.call.kind,
                           .dtype = operation.call.dtype,
                           .reduce_op = operation.call.reduce_op,
                           .root = operation.call.root,
                           .sequence = operation.call.sequence};
  auto* out = operation.out.as<std::byte>();
  switch (header.kind) {
    case Kind::hello: break;
    case Kind::all_reduce: return run_all_reduce(operation, header, deadline);
    case Kind::all_gather:
      std::fill(lengths_.begin(), lengths_.end(), operation.in.size);
      return run_gather(operation.in.as<const std::byte>(), lengths_, out, header, deadline);
    case Kind::reduce_scatter:
      for (std::size_t peer = 0; peer < parts_.size(); ++peer)
        parts_[peer] = {operation.in.as<const std::byte>() + peer * operation.out.size, operation.out.size,
                        operation.out.size};
      return run_reduce(operation, out, header, deadline);
    case Kind::broadcast: return fabric_.exchange->broadcast({out, operation.out.size}, header, deadline);
    case Kind::all_to_all:
    case Kind::all_to_all_v: return run_all_to_all(operation, header, deadline);
    case Kind::barrier:
      std::fill(parts_.begin(), parts_.end(), Part{});
      return run_exchange(header, true, deadline, [](Bytes, Pieces) {});
  }
  return {};
}

Outcome GlooTransport::run_exchange(const FrameHeader& header, bool always, Deadline deadline, const Take& take) {
  return fabric_.exchange->exchange(parts_, header, always, deadline, take);
}

// Sums parts_ into `out`: everybody's part for this rank, all of one length.
Outcome GlooTransport::run_reduce(const Operation& operation, std::byte* out, const FrameHeader& header,
                                  Deadline deadline) {
  auto reduce = [&](Bytes offset, Pieces pieces) {
    // Rounds beyond this rank's own part only carry the ends of longer ones to others.
    const std::size_t bytes = pieces[static_cast<std::size_t>(rank_)].size();
    if (bytes == 0) return;
    for (std::size_t peer = 0; peer < pieces.size(); ++peer)
      sources_[peer] = pieces[peer].data();
    plugins::reduce_in_rank_order(operation.type, operation.op, sources_, bytes / size_of(operation.type),
                                  out + offset);
  };
  return run_exchange(header, false, deadline, std::ref(reduce));
}

// Everybody's `lengths[peer]` bytes, this rank's at `own`, end to end into `out`.
Outcome GlooTransport::run_gather(const std::byte* own, std::span<const Bytes> lengths, std::byte* out,
                                  const FrameHeader& header, Deadline deadline) {
  const auto self = static_cast<std::size_t>(rank_);
  for (std::size_t peer = 0; peer < parts_.size(); ++peer)
    parts_[peer] = {own, lengths[self], lengths[peer]};
  auto place = [&](Bytes offset, Pieces pieces) {
    std::byte* to = out;
    for (std::size_t peer = 0; peer < pieces.size(); to += lengths[peer++])
      copy(to + offset, pieces[peer]);
  };
  return run_exchange(header, false, deadline, std::ref(place));
}

Outcome GlooTransport::run_all_reduce(const Operation& operation, FrameHeader header, Deadline deadline) {
  auto* data = operation.out.as<std::byte>();
  const Bytes bytes = operation.out.size;
  if (size_ <= 2 || bytes <= gather_bytes_) {
    // Everybody gets everything and sums it himself: one exchange, and for two ranks no byte more than any
    // other way.
    std::fill(parts_.begin(), parts_.end(), Part{data, bytes, bytes});
    return run_reduce(operation, data, header, deadline);
  }
  const auto begin = [&](std::int32_t rank) { return plugins::share_begin(bytes, rank, size_); };
  const Bytes own = begin(rank_ + 1) - begin(rank_);
  for (std::int32_t peer = 0; peer < size_; ++peer) {
    lengths_[static_cast<std::size_t>(peer)] = begin(peer + 1) - begin(peer);
    parts_[static_cast<std::size_t>(peer)] = {data + begin(peer), begin(peer + 1) - begin(peer), own};
  }
  if (Outcome outcome = run_reduce(operation, data + begin(rank_), header, deadline); !outcome) return outcome;
  header.phase = 1;
  return run_gather(data + begin(rank_), lengths_, data, header, deadline);
}

Outcome GlooTransport::run_all_to_all(const Operation& operation, const FrameHeader& header, Deadline deadline) {
  const auto* in = operation.in.as<const std::byte>();
  for (std::size_t peer = 0; peer < parts_.size(); in += operation.in_parts[peer++])
    parts_[peer] = {in, operation.in_parts[peer], operation.out_parts[peer]};
  auto place = [&](Bytes offset, Pieces pieces) {
    auto* to = operation.out.as<std::byte>();
    for (std::size_t peer = 0; peer < pieces.size(); to += operation.out_parts[peer++])
      copy(to + offset, pieces[peer]);
  };
  return run_exchange(header, false, deadline, std::ref(place));
}

}  // namespace weft::comm_gloo
