#include "core/store/store_host.h"

#include <utility>

#include "core/wire/convert.h"

namespace weft::store {

StoreHost::StoreHost(StoreLimits limits) : state_(limits) {}

std::uint64_t StoreHost::new_source() {
  const std::lock_guard lock(mutex_);
  return ++sources_;
}

void StoreHost::apply(const wire::StoreRequest& request, std::uint64_t source, Time now, StoreState::Reply reply) {
  const std::lock_guard lock(mutex_);
  if (!closed_) return state_.apply(request, source, now, std::move(reply));
  wire::StoreReply refusal;
  refusal.set_id(request.id());
  *refusal.mutable_error() = wire::to_wire(*closed_);
  reply(std::move(refusal));
}

void StoreHost::expire(Time now) {
  const std::lock_guard lock(mutex_);
  state_.expire(now);
}

Time StoreHost::next_deadline() {
  const std::lock_guard lock(mutex_);
  return state_.next_deadline();
}

void StoreHost::forget(std::uint64_t source) {
  const std::lock_guard lock(mutex_);
  state_.forget(source);
}

void StoreHost::retire(std::string_view prefix, const std::string& why) {
  const std::lock_guard lock(mutex_);
  state_.retire(prefix, why);
}

void StoreHost::close(const Error& why) {
  const std::lock_guard lock(mutex_);
  if (!closed_) closed_ = why;
  state_.fail_waits(*closed_);
}

std::size_t StoreHost::size() {
  const std::lock_guard lock(mutex_);
  return state_.size();
}

}  // namespace weft::store
