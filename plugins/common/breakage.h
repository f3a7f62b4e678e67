// Whether a group may still be used, and why not. The first reason counts; each later call is answered with it.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>

#include "weft/status.h"

namespace weft::plugins {

// Any thread.
class Breakage {
 public:
  // `context`: "gloo: group 'tp/1'".
  explicit Breakage(std::string context) : context_(std::move(context)) {}

  bool broken() const noexcept { return broken_.load(std::memory_order_acquire); }
  // False if the group is broken or closed already.
  bool break_with(Error why) noexcept;
  // False if it is closed already. A group that was whole is broken from then on.
  bool close() noexcept;
  // The reason, for an operation that ends with it. The group must be broken.
  Error report() noexcept;
  // The error of a further call; nullopt if the group is whole. An abort that no operation has met yet ends the next
  // one; after that the group is as broken as after any error.
  std::optional<Error> refusal() noexcept;

 private:
  const std::string context_;
  std::atomic<bool> broken_{false};
  std::mutex mutex_;  // guards all below
  std::optional<Error> reason_;
  bool reported_ = false;  // some operation has ended with the reason
  bool closed_ = false;
};

}  // namespace weft::plugins
