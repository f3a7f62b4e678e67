#include "plugins/common/breakage.h"

#include <utility>

namespace weft::plugins {

bool Breakage::break_with(Error why) noexcept {
  const std::lock_guard lock(mutex_);
  if (closed_ || reason_) return false;
  reason_ = std::move(why);
  broken_.store(true, std::memory_order_release);
  return true;
}

bool Breakage::close() noexcept {
  const std::lock_guard lock(mutex_);
  if (std::exchange(closed_, true)) return false;
  if (!reason_) reason_ = Error{ErrorCode::failed_precondition, context_ + " is closed"};
  reported_ = true;
  broken_.store(true, std::memory_order_release);
  return true;
}

Error Breakage::report() noexcept {
  const std::lock_guard lock(mutex_);
  reported_ = true;
  return reason_.value_or(Error{});
}

std::optional<Error> Breakage::refusal() noexcept {
  if (!broken()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (closed_) return Error{ErrorCode::failed_precondition, context_ + " is closed"};
  if (!std::exchange(reported_, true)) return *reason_;
  return Error{ErrorCode::failed_precondition, context_ + " is broken and can only be closed: " + reason_->message};
}

}  // namespace weft::plugins
