#include "plugins/comm_shm/mail.h"

#include <fmt/format.h>

namespace weft::comm_shm {

Mail::Mail(Peers& peers) : peers_(peers) {
  for (std::int32_t peer = 0; peer < peers.size(); ++peer) {
    outboxes_.emplace_back(peers.segment(), peers.rank(), peer);
    inboxes_.emplace_back(peers.segment(), peer, peers.rank());
  }
  peers_.set_background(this);
}

Mail::~Mail() {
  peers_.set_busy(false);
  peers_.set_background(nullptr);
}

Outcome Mail::progress(std::int32_t peer) {
  const auto index = static_cast<std::size_t>(peer);
  const auto out = outboxes_[index].progress(done_);
  if (!out) return plugins::failed(peer, out.error());
  const auto in = inboxes_[index].progress(done_);
  if (!in) return plugins::failed(peer, in.error());
  if (*out || *in) peers_.notify(peer);
  for (const std::uint64_t ticket : done_)
    under_way_.erase(ticket);
  done_.clear();
  peers_.set_busy(!under_way_.empty());
  return {};
}

Outcome Mail::progress() {
  for (std::int32_t peer = 0; peer < peers_.size(); ++peer)
    if (peer != peers_.rank())
      if (Outcome moved = progress(peer); !moved) return moved;
  return {};
}

Outcome Mail::post(const plugins::Message& message) {
  const auto peer = static_cast<std::size_t>(message.peer);
  if (message.outgoing) {
    // A message that fits is done when it is in the ring; looking first keeps a dead rank from being a false ok.
    if (Outcome all_live = peers_.look(); !all_live) return all_live;
    if (peers_.state(message.peer) == State::closed)
      return plugins::failed(message.peer, Error{ErrorCode::unavailable, "has closed the group", true});
    outboxes_[peer].post(message);
  } else {
    const auto done = inboxes_[peer].post(message);
    if (!done) return plugins::failed(message.peer, done.error());
    if (*done) return {};
  }
  under_way_.emplace(message.ticket, message);
  return progress(message.peer);
}

Outcome Mail::wait(std::uint64_t ticket, Deadline deadline) {
  const auto found = under_way_.find(ticket);
  if (found == under_way_.end()) return {};
  const plugins::Message message = found->second;
  auto done = peers_.wait(message.peer, deadline.earlier(message.deadline), [&] { return !holds(ticket); });
  if (!done) return tl::unexpected<Failure>(std::move(done).error());
  if (*done) return {};
  std::string what = fmt::format("did not {} {} bytes with tag {} in time", message.outgoing ? "take" : "send",
                                 message.data.size, message.tag);
  if (const Bytes aside = inboxes_[static_cast<std::size_t>(message.peer)].set_aside(); !message.outgoing && aside != 0)
    what += fmt::format("; {} bytes with other tags wait for this rank to receive them", aside);
  return plugins::failed(message.peer, Error{ErrorCode::deadline_exceeded, std::move(what), true});
}

bool Mail::done(std::uint64_t ticket) {
  if (holds(ticket)) static_cast<void>(progress());  // an error shows when somebody waits
  return !holds(ticket);
}

std::vector<std::uint64_t> Mail::tickets() const {
  std::vector<std::uint64_t> tickets;
  for (const auto& [ticket, message] : under_way_)
    tickets.push_back(ticket);
  return tickets;
}

}  // namespace weft::comm_shm
