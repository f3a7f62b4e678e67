#include "plugins/comm_gloo/exchange.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace weft::comm_gloo {
namespace {

constexpr std::size_t window = 2;  // frames

std::size_t frames_of(Bytes bytes, bool always) {
  const std::size_t frames = (bytes + max_payload - 1) / max_payload;
  return always ? std::max<std::size_t>(frames, 1) : frames;
}

// The length of frame `round` of a part.
Bytes piece_of(Bytes bytes, std::size_t round) {
  const Bytes start = Bytes{round} * max_payload;
  return start >= bytes ? 0 : std::min<Bytes>(bytes - start, max_payload);
}

}  // namespace

Exchange::Exchange(std::int32_t rank, std::vector<std::unique_ptr<Lane>> lanes, std::byte* outbox)
    : rank_(rank), lanes_(std::move(lanes)), outbox_(outbox), pieces_(lanes_.size()) {}

Outcome Exchange::send_round(std::span<const Part> parts, FrameHeader header, std::size_t round, bool always,
                             Deadline deadline) {
  header.offset = Bytes{round} * max_payload;
  const std::byte* loaded = nullptr;  // what the outbox holds; many collectives give every peer the same
  Bytes loaded_bytes = 0;
  for (std::int32_t step = 1; step < size(); ++step) {
    // Each rank begins with another peer, so that they do not all write to the same one.
    const auto peer = static_cast<std::size_t>((rank_ + step) % size());
    const Part& part = parts[peer];
    if (round >= frames_of(part.out_bytes, always)) continue;
    const Bytes bytes = piece_of(part.out_bytes, round);
    const std::byte* data = part.out + header.offset;
    header.total = part.out_bytes;
    std::memcpy(outbox_, &header, sizeof(header));
    if (bytes != 0 && (data != loaded || bytes != loaded_bytes)) {
      std::memcpy(outbox_ + sizeof(header), data, bytes);
      loaded = data;
      loaded_bytes = bytes;
    }
    // Where the peer gives nothing back in this round, nothing but its socket's buffer holds us to its pace.
    Status sent;
    if (round >= frames_of(part.in_bytes, always)) sent = lanes_[peer]->await_writable(deadline);
    if (sent) sent = lanes_[peer]->send(sizeof(header) + bytes);
    if (!sent) return failed(static_cast<std::int32_t>(peer), std::move(sent).error());
  }
  return {};
}

Outcome Exchange::receive_frame(std::int32_t peer, FrameHeader expected, Bytes bytes, Deadline deadline) {
  Lane& lane = *lanes_[static_cast<std::size_t>(peer)];
  if (Status received = lane.receive(sizeof(FrameHeader) + bytes, deadline); !received)
    return failed(peer, std::move(received).error());
  if (lane.header() == expected) return {};
  return failed(peer, plugins::different_calls(lane.header().call(), expected.call()));
}

Outcome Exchange::exchange(std::span<const Part> parts, FrameHeader header, bool always, Deadline deadline,
                           const Take& take) {
  std::size_t rounds = 0;
  for (std::size_t peer = 0; peer < parts.size(); ++peer) {
    const bool self = peer == static_cast<std::size_t>(rank_);
    rounds = std::max(rounds, frames_of(std::max(parts[peer].out_bytes, parts[peer].in_bytes), always && !self));
  }
  std::size_t sent = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    for (; sent < std::min(rounds, round + window); ++sent)
      if (Outcome outcome = send_round(parts, header, sent, always, deadline); !outcome) return outcome;
    header.offset = Bytes{round} * max_payload;
    for (std::int32_t peer = 0; peer < size(); ++peer) {
      const auto index = static_cast<std::size_t>(peer);
      const Part& part = parts[index];
      if (peer == rank_) {
        pieces_[index] = {part.out + header.offset, piece_of(part.out_bytes, round)};
        continue;
      }
      pieces_[index] = {};
      if (round >= frames_of(part.in_bytes, always)) continue;
      const Bytes bytes = piece_of(part.in_bytes, round);
      header.total = part.in_bytes;
      if (Outcome outcome = receive_frame(peer, header, bytes, deadline); !outcome) return outcome;
      pieces_[index] = {lanes_[index]->payload(), bytes};
    }
    take(header.offset, pieces_);
  }
  return {};
}

Outcome Exchange::broadcast(std::span<std::byte> data, FrameHeader header, Deadline deadline) {
  header.total = data.size();
  for (std::size_t round = 0; round < frames_of(data.size(), false); ++round) {
    header.offset = Bytes{round} * max_payload;
    const Bytes bytes = piece_of(data.size(), round);
    if (rank_ != header.root) {
      if (Outcome outcome = receive_frame(header.root, header, bytes, deadline); !outcome) return outcome;
      std::memcpy(data.data() + header.offset, lanes_[static_cast<std::size_t>(header.root)]->payload(), bytes);
      continue;
    }
    std::memcpy(outbox_, &header, sizeof(header));
    std::memcpy(outbox_ + sizeof(header), data.data() + header.offset, bytes);
    for (std::int32_t step = 1; step < size(); ++step) {
      const std::int32_t peer = (rank_ + step) % size();
      Lane& lane = *lanes_[static_cast<std::size_t>(peer)];
      // A write to a peer that is gone may still succeed; looking first keeps that from being a false ok.
      if (round == 0 && lane.peer_closed())
        return failed(peer, Error{ErrorCode::unavailable, "closed its connection", true});
      Status sent = lane.await_writable(deadline);
      if (sent) sent = lane.send(sizeof(header) + bytes);
      if (!sent) return failed(peer, std::move(sent).error());
    }
  }
  return {};
}

void Exchange::shutdown() noexcept {
  for (const auto& lane : lanes_)
    if (lane) lane->shutdown();
}

tl::unexpected<plugins::Failure> Exchange::failed(std::int32_t rank, Error error) const {
  plugins::Failure failure{std::move(error), {rank}};
  for (std::int32_t peer = 0; peer < size() && failure.error.code == ErrorCode::deadline_exceeded; ++peer) {
    const auto& lane = lanes_[static_cast<std::size_t>(peer)];
    if (peer != rank && lane && !lane->has_input()) failure.ranks.push_back(peer);
  }
  return tl::unexpected<plugins::Failure>(std::move(failure));
}

}  // namespace weft::comm_gloo
