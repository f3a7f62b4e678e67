// The collectives of a group over rounds of shared memory (lockstep.h).
//
// Data goes in chunks of a slot's size. A rank copies its chunk into its slot and all read from there; where its buffer
// lies in the heap (allocate()), they read straight from the buffer instead, and nothing is copied first. Every rank sums
// in rank order with the same code, so that all get the same bits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "plugins/comm_shm/lockstep.h"

namespace weft::comm_shm {

using plugins::Operation;

class Collectives {
 public:
  // `one_shot`: all_reduces up to that many bytes go in one round, each rank summing everything; longer ones in two,
  // each rank summing its share.
  Collectives(Peers& peers, Bytes one_shot);

  Outcome run(const Operation& operation, Deadline deadline);

 private:
  Outcome barrier(const Operation& operation, Deadline deadline);
  Outcome broadcast(const Operation& operation, Deadline deadline);
  Outcome all_gather(const Operation& operation, Deadline deadline);
  Outcome all_reduce(const Operation& operation, Deadline deadline);
  Outcome one_shot(const Operation& operation, Bytes offset, Bytes bytes, Deadline deadline);
  Outcome two_shot(const Operation& operation, Bytes offset, Bytes bytes, Deadline deadline);
  Outcome reduce_scatter(const Operation& operation, Deadline deadline);
  Outcome all_to_all(const Operation& operation, Deadline deadline);
  Outcome check_parts(const Operation& operation, Bytes& longest);

  // Begins a collective whose data is `data`: takes a slot and writes its header. `may_be_direct`: peers may read
  // from the buffer itself where they can. Every rank must then call end().
  Outcome begin(const Operation& operation, Buffer data, bool may_be_direct, Deadline deadline);
  // Of a later chunk.
  Outcome next_chunk(Bytes offset, Deadline deadline);
  // Posts, waits for all or one, and checks in a collective's first round that they called the same.
  Outcome meet_all(const Operation& operation, Bytes offset, Deadline deadline);
  Outcome meet(std::int32_t peer, const Operation& operation, Bytes offset, Deadline deadline);
  // Where some rank's data was read from its buffer, that one waits until all have done so.
  Outcome end(Deadline deadline);

  bool direct(std::int32_t rank) const noexcept { return direct_[static_cast<std::size_t>(rank)] != not_direct; }
  // A peer's data: `direct_offset` bytes into its buffer where it is direct, else `slot_offset` bytes into its slot.
  const std::byte* source(std::int32_t rank, Bytes direct_offset, Bytes slot_offset) const noexcept;
  // Sums `bytes` of all ranks, this one's at `own`, into `out`.
  void reduce(const Operation& operation, const std::byte* own, Bytes direct_offset, Bytes slot_offset, Bytes bytes,
              std::byte* out) noexcept;

  Peers& peers_;
  Lockstep steps_;
  const Segment segment_;
  const std::int32_t rank_;
  const std::int32_t size_;
  const Bytes one_shot_;
  Bytes span_ = 0;                     // bytes of data that a direct peer must have
  std::vector<std::uint64_t> direct_;  // of the collective under way, by rank, checked
  std::vector<const std::byte*> sources_;
  // Of all_to_all, by peer: where its part begins in this rank's data, where this rank's in its data, and where its part
  // goes.
  std::vector<Bytes> given_at_;
  std::vector<Bytes> taken_at_;
  std::vector<Bytes> placed_at_;
};

}  // namespace weft::comm_shm
