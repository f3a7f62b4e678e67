// The two movements of data that all collectives are made of, over the lanes of one group.
//
// exchange() is all-to-all in rounds of one frame: every rank writes its frame of a round to every peer, then
// reads theirs. At most `window` frames are under way in one direction, which the sockets' buffers hold, so
// no write blocks while the other side writes too. broadcast() goes one way and waits for room before each
// frame instead.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "plugins/comm_gloo/frame.h"
#include "plugins/comm_gloo/lane.h"
#include "plugins/common/transport.h"
#include "weft/communicator.h"

namespace weft::comm_gloo {

using plugins::Outcome;

// What this rank gives to one peer and takes from it. The entry at this rank's own position is its own
// contribution.
struct Part {
  const std::byte* out = nullptr;
  Bytes out_bytes = 0;
  Bytes in_bytes = 0;
};

// One round's data by rank, `offset` bytes into each part. Empty where a rank's part has ended.
using Pieces = std::span<const std::span<const std::byte>>;
// Pass std::ref(lambda): a reference needs no allocation.
using Take = std::function<void(Bytes offset, Pieces pieces)>;

class Exchange {
 public:
  // `lanes` by rank, null at `rank`.
  Exchange(std::int32_t rank, std::vector<std::unique_ptr<Lane>> lanes, std::byte* outbox);

  // `header` without total and offset. Calls take() for each round, in order; a round's pieces stay valid for
  // that call. With `always`, peers get a frame even if their part is empty (barrier).
  Outcome exchange(std::span<const Part> parts, FrameHeader header, bool always, Deadline deadline, const Take& take);
  // `data` of the root to everybody.
  Outcome broadcast(std::span<std::byte> data, FrameHeader header, Deadline deadline);

  // Ends every lane for both sides. Any thread.
  void shutdown() noexcept;

 private:
  std::int32_t size() const noexcept { return static_cast<std::int32_t>(lanes_.size()); }
  // A failure because of `rank`; at a deadline the other ranks of which nothing has come are named too.
  tl::unexpected<plugins::Failure> failed(std::int32_t rank, Error error) const;
  Outcome send_round(std::span<const Part> parts, FrameHeader header, std::size_t round, bool always,
                     Deadline deadline);
  Outcome receive_frame(std::int32_t peer, FrameHeader expected, Bytes bytes, Deadline deadline);

  const std::int32_t rank_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::byte* const outbox_;
  std::vector<std::span<const std::byte>> pieces_;  // of the round under way
};

}  // namespace weft::comm_gloo
