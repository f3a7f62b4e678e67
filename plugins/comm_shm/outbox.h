// What one rank sends to one peer (mail.h).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "plugins/comm_shm/peers.h"
#include "plugins/comm_shm/ring.h"

namespace weft::comm_shm {

class Outbox {
 public:
  Outbox(const Segment& segment, std::int32_t from, std::int32_t to);

  void post(const plugins::Message& message) { waiting_.push_back(message); }
  // Moves what can be moved; appends the tickets of messages that this finished. Whether anything moved. data_loss: the
  // peer's counters cannot be.
  Result<bool> progress(std::vector<std::uint64_t>& done);
  bool idle() const noexcept { return waiting_.empty() && offered_.empty(); }

 private:
  struct Offer {
    std::uint32_t number;
    plugins::Message message;
  };
  Result<bool> put_letters(std::vector<std::uint64_t>& done);
  Result<bool> push_bulk(std::vector<std::uint64_t>& done);

  Channel* channel_;
  Ring mail_;
  Ring bulk_;
  Bytes mailed_ = 0;
  Bytes pushed_ = 0;
  std::uint32_t numbers_ = 0;
  std::deque<plugins::Message> waiting_;  // not yet in the mail ring
  std::vector<Offer> offered_;            // large ones whose letter is in the ring, or was
  std::uint64_t pushing_ = 0;             // the granted one's number
  Bytes given_ = 0;                       // bytes of the granted one that are in the bulk ring, or were
};

}  // namespace weft::comm_shm
