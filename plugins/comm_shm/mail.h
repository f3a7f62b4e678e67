// send and recv: messages between two ranks, by tag.
//
// Each ordered pair of ranks has two rings. The mail ring carries letters, in order: a small message whole, of a large
// one only tag, length and number. A receiver that has a recv for a large one grants its number; then the sender puts
// its bytes into the bulk ring, one message at a time. So what nobody has asked for takes little room here, a recv with
// another tag never waits behind it, and a message that was awaited goes through the rings straight from buffer to buffer.
//
// A small message is done when it is in the ring. Nothing moves by itself: rings move while a rank posts or waits for
// anything (peers.h calls progress()).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "plugins/comm_shm/inbox.h"
#include "plugins/comm_shm/outbox.h"
#include "plugins/comm_shm/peers.h"

namespace weft::comm_shm {

class Mail final : public Background {
 public:
  explicit Mail(Peers& peers);
  ~Mail() override;
  Mail(const Mail&) = delete;
  Mail& operator=(const Mail&) = delete;

  Outcome post(const plugins::Message& message);
  // Whether that message is under way.
  bool holds(std::uint64_t ticket) const { return under_way_.contains(ticket); }
  Outcome wait(std::uint64_t ticket, Deadline deadline);
  bool done(std::uint64_t ticket);
  std::vector<std::uint64_t> tickets() const;

  Outcome progress() override;

 private:
  Outcome progress(std::int32_t peer);

  Peers& peers_;
  std::map<std::uint64_t, plugins::Message> under_way_;
  std::vector<std::uint64_t> done_;  // what a turn of progress() has finished
  std::vector<Outbox> outboxes_;     // by peer; this rank's own is not used
  std::vector<Inbox> inboxes_;
};

}  // namespace weft::comm_shm
