#include "core/wire/outbox.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/wire/link_state.h"

namespace weft::wire {
namespace {

constexpr std::size_t header_bytes = 64;  // at most, of an envelope around its body

}  // namespace

Result<std::unique_ptr<Outbox>> Outbox::make(const LinkLimits& limits) {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return fail(ErrorCode::resource_exhausted, fmt::format("eventfd: {}", std::strerror(errno)));
  return std::unique_ptr<Outbox>(new Outbox(limits, fd));
}

Outbox::~Outbox() { ::close(fd_); }

void Outbox::wake_locked() {
  if (signalled_) return;
  signalled_ = true;
  // An eventfd that is not yet read takes a write of 1 at any time.
  const std::uint64_t one = 1;
  static_cast<void>(!::write(fd_, &one, sizeof one));
}

Status Outbox::push(LinkId link, Envelope body) {
  if (!is_user_body(body)) {
    return fail(ErrorCode::invalid_argument, fmt::format("a link's user cannot send {}", body_name(body)));
  }
  const std::size_t bytes = body.ByteSizeLong();
  if (bytes + header_bytes > limits_.max_message) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} of {} bytes, expected at most {}", body_name(body), bytes,
                                                         limits_.max_message - header_bytes));
  }
  const std::lock_guard lock(mutex_);
  const auto found = queued_.find(link);
  if (found == queued_.end()) return fail(ErrorCode::not_found, fmt::format("no link {} (any more)", link));
  if (found->second >= limits_.max_queued) {
    queued_.erase(found);
    items_.push_back(Item{.link = link, .message = {}, .task = {}, .overflow = true});
    wake_locked();
    return fail(ErrorCode::resource_exhausted,
                fmt::format("{} messages wait for the peer's credit", limits_.max_queued));
  }
  ++found->second;
  items_.push_back(Item{.link = link, .message = std::move(body), .task = {}, .overflow = false});
  wake_locked();
  return {};
}

void Outbox::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  items_.push_back(Item{.link = 0, .message = {}, .task = std::move(task), .overflow = false});
  wake_locked();
}

void Outbox::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  wake_locked();
}

void Outbox::add_link(LinkId link) {
  const std::lock_guard lock(mutex_);
  queued_.emplace(link, 0);
}

void Outbox::remove_link(LinkId link) {
  const std::lock_guard lock(mutex_);
  queued_.erase(link);
}

void Outbox::settle() {
  if (sent_.empty()) return;
  const std::lock_guard lock(mutex_);
  for (const LinkId link : sent_) {
    const auto found = queued_.find(link);
    if (found != queued_.end() && found->second > 0) --found->second;
  }
  sent_.clear();
}

std::vector<Outbox::Item> Outbox::take() {
  std::vector<Item> items;
  const std::lock_guard lock(mutex_);
  items.swap(items_);
  if (signalled_) {
    std::uint64_t count = 0;
    static_cast<void>(!::read(fd_, &count, sizeof count));
    signalled_ = false;
  }
  return items;
}

bool Outbox::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

}  // namespace weft::wire
