// Rounds: how the ranks of a group keep step in collectives.
//
// Each rank counts the rounds that it has entered, in RankControl::posted. A round that gives data takes one of the
// rank's two slots, in turn, at all ranks alike: write the slot, post, wait until those have posted whose data is needed,
// and read straight from their slots (or heaps). Nobody says that he has read: who has posted a later round has.
//
// A collective's first slot carries its Call, so that ranks that call different things learn it.
#pragma once

#include <cstdint>

#include "plugins/comm_shm/peers.h"

namespace weft::comm_shm {

class Lockstep {
 public:
  explicit Lockstep(Peers& peers);

  // Takes the next slot and waits until nobody reads what it held.
  Outcome take_slot(Deadline deadline);
  // This rank's slot.
  SlotHeader& header() const noexcept { return segment_.slot(rank_, slot_); }
  PartEntry* parts() const noexcept { return segment_.slot_parts(rank_, slot_); }
  std::byte* data() const noexcept { return segment_.slot_data(rank_, slot_); }

  // Enters the next round: what this rank has written is there for the others.
  void post() noexcept;
  // Waits until the rank, or all, have entered this round.
  Outcome await(std::int32_t peer, Deadline deadline);
  Outcome await_all(Deadline deadline);

  // What a rank wrote in its slot of this round; after await() only.
  const SlotHeader& header_of(std::int32_t peer) const noexcept { return segment_.slot(peer, slot_); }
  const PartEntry* parts_of(std::int32_t peer) const noexcept { return segment_.slot_parts(peer, slot_); }
  const std::byte* data_of(std::int32_t peer) const noexcept { return segment_.slot_data(peer, slot_); }

 private:
  Outcome await_round(std::int32_t peer, std::uint64_t round, Deadline deadline);
  std::uint64_t posted(std::int32_t peer) const noexcept {
    return segment_.control(peer).posted.load(std::memory_order_seq_cst);
  }

  Peers& peers_;
  const Segment segment_;
  const std::int32_t rank_;
  std::uint64_t round_ = 0;        // that this rank has posted
  int slot_ = 1;                   // of the last round with data
  std::uint64_t free_at_[2] = {};  // a slot is free when all ranks have posted that round
};

}  // namespace weft::comm_shm
