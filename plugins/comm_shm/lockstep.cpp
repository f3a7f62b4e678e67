#include "plugins/comm_shm/lockstep.h"

namespace weft::comm_shm {

Lockstep::Lockstep(Peers& peers) : peers_(peers), segment_(peers.segment()), rank_(peers.rank()) {}

Outcome Lockstep::take_slot(Deadline deadline) {
  slot_ = 1 - slot_;
  for (std::int32_t step = 1; step < peers_.size(); ++step)
    if (Outcome here = await_round((rank_ + step) % peers_.size(), free_at_[slot_], deadline); !here) return here;
  return {};
}

void Lockstep::post() noexcept {
  ++round_;
  free_at_[slot_] = round_ + 1;  // who has posted the round after this one reads this slot no more
  peers_.own().posted.store(round_, std::memory_order_seq_cst);
  peers_.notify_all();
}

Outcome Lockstep::await(std::int32_t peer, Deadline deadline) { return await_round(peer, round_, deadline); }

Outcome Lockstep::await_all(Deadline deadline) {
  // Each rank begins with another one, so that they do not all look at the same line.
  for (std::int32_t step = 1; step < peers_.size(); ++step)
    if (Outcome here = await((rank_ + step) % peers_.size(), deadline); !here) return here;
  return {};
}

Outcome Lockstep::await_round(std::int32_t peer, std::uint64_t round, Deadline deadline) {
  if (posted(peer) >= round) return {};
  auto here = peers_.wait(peer, deadline, [&] { return posted(peer) >= round; });
  if (!here) return tl::unexpected<Failure>(std::move(here).error());
  if (*here) return {};
  // Who is missed is known to the whole group by what they have posted.
  Failure late{Error{ErrorCode::deadline_exceeded, "did not come to this operation in time", true}};
  for (std::int32_t other = 0; other < peers_.size(); ++other)
    if (other != rank_ && posted(other) < round) late.ranks.push_back(other);
  if (late.ranks.empty()) late.ranks.push_back(peer);
  return tl::unexpected<Failure>(std::move(late));
}

}  // namespace weft::comm_shm
