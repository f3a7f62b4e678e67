// Where any thread leaves messages and tasks for the one thread that owns a socket. An eventfd wakes that thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/wire/link.h"

namespace weft::wire {

class Outbox {
 public:
  // A message for a link, or a task, or news that a link's queue has passed its limit.
  struct Item {
    LinkId link = 0;
    Envelope message;
    std::function<void()> task;
    bool overflow = false;
  };

  // resource_exhausted: no descriptor is left.
  static Result<std::unique_ptr<Outbox>> make(const LinkLimits& limits);
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Any thread.
  Status push(LinkId link, Envelope body);
  void post(std::function<void()> task);
  void stop();

  // The owner's thread.
  void add_link(LinkId link);
  void remove_link(LinkId link);
  // A message of the link has gone to the network; from settle() on it no longer counts as queued.
  void sent(LinkId link) { sent_.push_back(link); }
  void settle();
  std::vector<Item> take();
  bool stopping();
  int fd() const noexcept { return fd_; }

 private:
  Outbox(const LinkLimits& limits, int fd) : limits_(limits), fd_(fd) {}
  void wake_locked();

  const LinkLimits limits_;
  const int fd_;
  std::vector<LinkId> sent_;  // the owner's; one entry a message

  std::mutex mutex_;  // guards all below
  std::vector<Item> items_;
  std::unordered_map<LinkId, std::size_t> queued_;  // links that live -> messages not yet sent
  bool signalled_ = false;
  bool stopping_ = false;
};

}  // namespace weft::wire
