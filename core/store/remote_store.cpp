#include "core/store/remote_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/wire/convert.h"

namespace weft::store {
namespace {

constexpr std::int64_t most_early_ms = 1000;

std::int64_t head_timeout(Deadline deadline) {
  const std::int64_t left = milliseconds_left(deadline);
  return left - std::min(left / 4, most_early_ms);
}

}  // namespace

Result<wire::StoreReply> RemoteStore::call(wire::StoreRequest request, Deadline deadline) {
  Pending pending;
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (failed_) return weft::fail(*failed_);
    id = ++last_id_;
    pending_.emplace(id, &pending);
  }
  const std::string what = describe(request);
  request.set_id(id);
  request.set_timeout_ms(head_timeout(deadline));
  wire::Envelope envelope;
  *envelope.mutable_store_request() = std::move(request);
  const Status sent = send_(std::move(envelope));

  std::unique_lock lock(mutex_);
  const auto done = [&] { return pending.reply.has_value() || failed_.has_value(); };
  if (sent) {
    if (deadline.at() == Time::max()) {
      pending.answered.wait(lock, done);  // ended by fail() at the latest
    } else {
      pending.answered.wait_until(lock, deadline.at(), done);
    }
  }
  pending_.erase(id);
  if (!sent) return weft::fail(annotate(sent.error(), "store: " + what));
  if (pending.reply) {
    if (pending.reply->has_error()) return weft::fail(wire::from_wire(pending.reply->error()));
    return std::move(*pending.reply);
  }
  if (failed_) return weft::fail(annotate(*failed_, "store: " + what));
  return weft::fail(ErrorCode::deadline_exceeded, fmt::format("store: {}: the head has not answered", what), true);
}

bool RemoteStore::handle(const wire::Envelope& envelope) {
  if (!envelope.has_store_reply()) return false;
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(envelope.store_reply().id());
  if (found == pending_.end()) return true;  // its caller's deadline has passed
  found->second->reply = envelope.store_reply();
  found->second->answered.notify_all();
  return true;
}

void RemoteStore::fail(const Error& why) {
  const std::lock_guard lock(mutex_);
  if (failed_) return;
  failed_ = Error{
      .code = ErrorCode::unavailable, .message = "the link to the head is down: " + why.message, .retryable = false};
  for (const auto& [id, pending] : pending_)
    pending->answered.notify_all();
}

}  // namespace weft::store
