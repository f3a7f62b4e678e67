#include "plugins/comm_shm/peers.h"

#include <algorithm>
#include <cstring>

namespace weft::comm_shm {

Peers::Peers(Segment segment, std::int32_t rank, std::vector<plugins::Descriptor> processes)
    : segment_(segment), rank_(rank), processes_(std::move(processes)) {
  for (const plugins::Descriptor& process : processes_)
    polled_.push_back({.fd = process.get(), .events = POLLIN, .revents = 0});
}

std::optional<std::string> Peers::reason_of(std::int32_t peer) const {
  if (state(peer) != State::broken) return std::nullopt;
  const RankControl& control = segment_.control(peer);
  std::string reason(control.reason.data(), std::min<std::size_t>(control.reason_bytes, max_reason));
  for (char& c : reason)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  return reason;
}

void Peers::ring(std::int32_t peer) noexcept {
  std::atomic<std::uint32_t>& bell = segment_.control(peer).bell;
  bell.fetch_add(1, std::memory_order_seq_cst);
  futex_wake_all(bell);
}

void Peers::notify(std::int32_t peer) noexcept {
  const std::uint32_t whom = segment_.control(peer).waiting_for.load(std::memory_order_seq_cst);
  if (whom == for_anybody || whom == static_cast<std::uint32_t>(rank_) + 1) ring(peer);
}

void Peers::notify_all() noexcept {
  for (std::int32_t peer = 0; peer < size(); ++peer)
    if (peer != rank_) notify(peer);
}

void Peers::move_background() {
  if (fault_) return;
  Outcome moved = background_->progress();
  if (!moved) fault_ = std::move(moved).error();
}

Outcome Peers::look() noexcept {
  if (polled_.empty() || ::poll(polled_.data(), polled_.size(), 0) <= 0) return {};
  for (std::int32_t peer = 0; peer < size(); ++peer)
    if (polled_[static_cast<std::size_t>(peer)].revents != 0 && state(peer) != State::closed)
      return plugins::failed(
          peer, Error{ErrorCode::unavailable, "died: its process has ended without closing the group", true});
  return {};
}

Outcome Peers::inspect(std::int32_t peer) noexcept {
  if (stopped_.load(std::memory_order_acquire))
    return tl::unexpected<Failure>(Failure{Error{ErrorCode::aborted, "stopped"}});
  if (fault_) return tl::unexpected<Failure>(*fault_);
  if (death_.exchange(false, std::memory_order_acq_rel))
    if (Outcome all_live = look(); !all_live) return all_live;
  for (std::int32_t other = 0; other < size(); ++other) {
    if (other == rank_ || state(other) != State::broken) continue;
    if (Outcome all_live = look(); !all_live) return all_live;  // that one may only pass on a death
    return plugins::failed(other, Error{ErrorCode::unavailable, "left the group", true});
  }
  if (state(peer) == State::closed)
    return plugins::failed(peer, Error{ErrorCode::unavailable, "has closed the group", true});
  return {};
}

void Peers::say_broken(const Error& why) noexcept {
  RankControl& mine = own();
  const State before = mine.state.load(std::memory_order_relaxed);
  if (before == State::closed || before == State::broken) return;
  const std::size_t bytes = std::min(why.message.size(), max_reason);
  std::memcpy(mine.reason.data(), why.message.data(), bytes);
  mine.reason_bytes = static_cast<std::uint32_t>(bytes);
  mine.state.store(State::broken, std::memory_order_release);
  stopped_.store(true, std::memory_order_release);
  for (std::int32_t peer = 0; peer < size(); ++peer)
    ring(peer);
}

void Peers::say_closed() noexcept {
  if (state(rank_) != State::broken) own().state.store(State::closed, std::memory_order_release);
  for (std::int32_t peer = 0; peer < size(); ++peer)
    ring(peer);
}

void Peers::say_death() noexcept {
  death_.store(true, std::memory_order_release);
  ring(rank_);
}

}  // namespace weft::comm_shm
