#include "plugins/comm_gloo/postbox.h"

#include <fmt/format.h>
#include <gloo/context.h>
#include <gloo/transport/context.h>
#include <gloo/transport/unbound_buffer.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace weft::comm_gloo {
namespace {

// | tag: 16 | number: 14 | length: 34 |
std::uint64_t slot_of(std::uint32_t tag, std::uint64_t number, Bytes bytes) {
  return std::uint64_t{tag} << 48 | (number & 0x3fff) << 34 | bytes;
}

std::chrono::milliseconds timeout_of(Deadline deadline) {
  return std::chrono::ceil<std::chrono::milliseconds>(
      std::min<Duration>(deadline.left(), std::chrono::hours(24 * 365)));
}

Error gone(const char* detail) {
  return Error{ErrorCode::unavailable, fmt::format("closed its connection ({})", detail), true};
}

}  // namespace

Postbox::Postbox(std::shared_ptr<gloo::Context> mesh)
    : mesh_(std::move(mesh)),
      stopper_(mesh_->createUnboundBuffer(&stopper_memory_, sizeof(stopper_memory_))),
      gone_(static_cast<std::size_t>(mesh_->size)) {}
Postbox::~Postbox() = default;

Result<std::unique_ptr<Postbox>> Postbox::open(std::shared_ptr<gloo::Context> mesh,
                                               const std::shared_ptr<gloo::transport::tcp::Device>& device,
                                               std::vector<Descriptor> sockets) {
  try {
    std::unique_ptr<Postbox> postbox(new Postbox(std::move(mesh)));
    for (std::int32_t peer = 0; peer < postbox->mesh_->size; ++peer)
      if (peer != postbox->mesh_->rank)
        postbox->watches_.push_back(
            std::make_unique<HangupWatch>(device, std::move(sockets[static_cast<std::size_t>(peer)]),
                                          [self = postbox.get(), peer] { self->peer_gone(peer); }));
    return postbox;
  } catch (const std::exception& error) {
    return fail(gone(error.what()));
  }
}

void Postbox::peer_gone(std::int32_t peer) noexcept {
  const std::lock_guard lock(mutex_);
  gone_[static_cast<std::size_t>(peer)] = true;
  if (sending_ != nullptr && sending_->peer == peer) sending_->buffer->abortWaitSend();
}

Status Postbox::post(bool outgoing, std::uint64_t ticket, Buffer data, std::int32_t peer, std::uint32_t tag,
                     Deadline deadline, Counters& counters) {
  const std::uint64_t slot = slot_of(tag, counters[{peer, tag}]++, data.size);
  try {
    auto buffer = mesh_->createUnboundBuffer(data.data, data.size);
    if (outgoing)
      buffer->send(peer, slot, 0, data.size);
    else
      buffer->recv(peer, slot, 0, data.size);
    messages_.push_back({ticket, peer, outgoing, deadline, std::move(buffer)});
    return {};
  } catch (const std::exception& error) {
    return fail(gone(error.what()));
  }
}

Status Postbox::send(std::uint64_t ticket, Buffer data, std::int32_t peer, std::uint32_t tag, Deadline deadline) {
  return post(true, ticket, data, peer, tag, deadline, sent_);
}

Status Postbox::recv(std::uint64_t ticket, Buffer data, std::int32_t peer, std::uint32_t tag, Deadline deadline) {
  return post(false, ticket, data, peer, tag, deadline, received_);
}

std::deque<Postbox::Message>::iterator Postbox::find(std::uint64_t ticket) noexcept {
  const auto found = std::lower_bound(messages_.begin(), messages_.end(), ticket,
                                      [](const Message& message, std::uint64_t t) { return message.ticket < t; });
  return found != messages_.end() && found->ticket == ticket ? found : messages_.end();
}

std::int32_t Postbox::peer_of(std::uint64_t ticket) const noexcept {
  const auto found = const_cast<Postbox*>(this)->find(ticket);
  return found == messages_.end() ? -1 : found->peer;
}

std::vector<std::uint64_t> Postbox::tickets() const {
  std::vector<std::uint64_t> tickets;
  for (const Message& message : messages_)
    tickets.push_back(message.ticket);
  return tickets;
}

Status Postbox::wait_send(Message& message, Deadline deadline) {
  const auto peer = static_cast<std::size_t>(message.peer);
  bool peer_gone = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return fail(gone("stopped"));
    peer_gone = gone_[peer];
    if (!peer_gone) sending_ = &message;
  }
  bool sent = !peer_gone && message.buffer->waitSend(nullptr, timeout_of(deadline));
  {
    const std::lock_guard lock(mutex_);
    sending_ = nullptr;
    if (!sent && stopped_) return fail(gone("stopped"));
  }
  // The peer may have gone after it took the message. Without time Gloo says what is; if that is no, it closes the
  // mesh, which is what becomes of it anyway.
  if (!sent) sent = message.buffer->waitSend(nullptr, std::chrono::milliseconds(0));
  if (!sent) return fail(gone("its end came before the message's"));
  return {};
}

Status Postbox::wait(std::uint64_t ticket, Deadline deadline) {
  const auto message = find(ticket);
  if (message == messages_.end()) return {};
  deadline = deadline.earlier(message->deadline);
  try {
    if (message->outgoing)
      WEFT_TRY(wait_send(*message, deadline));
    else
      message->buffer->waitRecv(nullptr, timeout_of(deadline));
    messages_.erase(message);
    return {};
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    sending_ = nullptr;
    if (stopped_ || gone_[static_cast<std::size_t>(message->peer)] || !deadline.passed())
      return fail(gone(error.what()));
    return fail(ErrorCode::deadline_exceeded,
                fmt::format("did not {} {} bytes in time", message->outgoing ? "take" : "send", message->buffer->size),
                true);
  }
}

void Postbox::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    if (sending_ != nullptr) sending_->buffer->abortWaitSend();
  }
  try {
    stopper_->waitRecv(nullptr, std::chrono::milliseconds(0));
  } catch (const std::exception&) {  // that is how it says that the pairs are closed
  }
}

}  // namespace weft::comm_gloo
