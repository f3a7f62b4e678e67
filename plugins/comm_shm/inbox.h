// What one rank receives from one peer (mail.h).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "plugins/comm_shm/peers.h"
#include "plugins/comm_shm/ring.h"

namespace weft::comm_shm {

class Inbox {
 public:
  // `from` sends, `to` is this rank.
  Inbox(const Segment& segment, std::int32_t from, std::int32_t to);

  // Takes the first letter of its tag if that is there already. Whether the message is done by that.
  // invalid_argument: it has another length.
  Result<bool> post(const plugins::Message& message);
  // Moves what can be moved; appends the tickets of messages that this finished. Whether anything moved. data_loss: what
  // the peer wrote cannot be.
  Result<bool> progress(std::vector<std::uint64_t>& done);
  // Bytes set aside because nobody has asked for them; beyond the layout's share the ring is left as it is.
  Bytes set_aside() const noexcept { return early_bytes_; }

 private:
  struct Early {
    Letter letter;
    std::vector<std::byte> payload;
  };
  struct Pull {
    std::uint32_t number;
    plugins::Message message;
    Bytes taken = 0;
  };
  Result<bool> take_letters(std::vector<std::uint64_t>& done);
  Result<bool> pull_bulk(std::vector<std::uint64_t>& done);
  static Status check_length(const Letter& letter, const plugins::Message& message);

  Channel* channel_;
  Ring mail_;
  Ring bulk_;
  Bytes early_limit_;
  Bytes taken_ = 0;
  Bytes pulled_ = 0;
  std::uint64_t granted_ = 0;
  std::deque<plugins::Message> wanted_;  // in the order of their posts, without a letter yet
  std::deque<Early> early_;              // in the order of their sends, without a recv yet
  Bytes early_bytes_ = 0;
  std::deque<Pull> pulls_;  // large ones that have both, in the order in which they are granted
};

}  // namespace weft::comm_shm
