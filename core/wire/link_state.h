// One end of an open link as a pure state machine: epoch, incarnation, sequence and credit. No socket, clock or thread;
// listener and dialer both drive it, tests drive it as a table.
//
// Counted envelopes take the next sequence number and need credit. Credit, Bye and Refused are not counted: they repeat
// the last number, so that a lost tail shows, and need no credit, so that two full windows cannot lock each other.
// Bye ends a link in order; Refused on an open link ends it with the sender's error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "core/wire/link.h"

namespace weft::wire {

// The name of what the envelope carries, "step_output"; "nothing" if this version does not know it.
std::string_view body_name(const Envelope& envelope);
// Whether users of a link may send it: not Open, Bye and their kin.
bool is_user_body(const Envelope& envelope);

class LinkState {
 public:
  struct Settings {
    std::int64_t incarnation = 0;
    std::uint64_t epoch = 0;
    std::uint64_t window = 0;       // what we let the peer have on its way; said in our Open or Opened
    std::uint64_t peer_credit = 0;  // as the peer's Open or Opened said
  };

  enum class Verdict : std::uint8_t {
    deliver,   // counted, for the handler
    nothing,   // taken in
    drop,      // to be logged; the link goes on
    peer_end,  // the peer ended the link
    broken,    // the peer broke the rules: end the link and tell it
  };
  struct Received {
    Verdict verdict = Verdict::nothing;
    Error why;  // drop, peer_end, broken
  };

  explicit LinkState(Settings settings);

  Received receive(const Envelope& envelope);

  void enqueue(Envelope body) { queue_.push_back(std::move(body)); }
  // Takes the next queued envelope, stamped; false if none is or credit is used up.
  bool next(Envelope& out);
  std::size_t queued() const noexcept { return queue_.size(); }

  // The peer may soon run out of credit and has not been told of more.
  bool credit_due() const noexcept { return granted_ - received_ <= window_ / 2; }
  Envelope credit();
  Envelope bye(std::string_view reason);
  Envelope refused(const Error& why);

 private:
  void stamp(Envelope& envelope, std::uint64_t sequence);
  Received receive_uncounted(const Envelope& envelope);

  std::int64_t incarnation_;
  std::uint64_t epoch_;
  std::uint64_t window_;
  std::uint64_t received_ = 0;  // the last sequence taken in
  std::uint64_t granted_;       // the highest that the peer has been told it may use
  std::uint64_t sent_ = 0;      // the last sequence given out
  std::uint64_t may_send_;      // the highest that we may use
  std::deque<Envelope> queue_;
};

}  // namespace weft::wire
