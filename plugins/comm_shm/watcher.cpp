#include "plugins/comm_shm/watcher.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <system_error>

#include "plugins/comm_shm/peers.h"
#include "plugins/common/thread_template.h"

namespace weft::comm_shm {

Watcher::Watcher(plugins::Descriptor epoll, plugins::Descriptor end) : epoll_(std::move(epoll)), end_(std::move(end)) {}

Result<std::shared_ptr<Watcher>> Watcher::start(std::span<const int> cpus) {
  plugins::Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC)), end(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event ended{.events = EPOLLIN, .data = {.u64 = 0}};
  if (!epoll || !end || ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, end.get(), &ended) != 0)
    return fail(ErrorCode::resource_exhausted, "no descriptors left for the watching thread");
  std::shared_ptr<Watcher> watcher(new Watcher(std::move(epoll), std::move(end)));
  try {
    const plugins::ThreadTemplate lent("weft-shm", cpus);
    watcher->thread_ = std::thread([self = watcher.get()] { self->run(); });
  } catch (const std::system_error& error) {
    return fail(ErrorCode::resource_exhausted, std::string("cannot start the watching thread: ") + error.what());
  }
  return watcher;
}

Watcher::~Watcher() {
  if (!thread_.joinable()) return;
  ::eventfd_write(end_.get(), 1);
  thread_.join();
}

Status Watcher::watch(Peers& peers) {
  const std::lock_guard lock(mutex_);
  for (std::int32_t rank = 0; rank < static_cast<std::int32_t>(peers.processes().size()); ++rank) {
    if (rank == peers.rank()) continue;
    const int process = peers.processes()[static_cast<std::size_t>(rank)].get();
    epoll_event event{.events = EPOLLIN, .data = {.u64 = ++numbers_}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, process, &event) != 0)
      return fail(ErrorCode::resource_exhausted, "cannot watch a rank's process");
    watched_.emplace(numbers_, Watched{&peers, process});
  }
  return {};
}

void Watcher::forget(Peers& peers) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase_if(watched_, [&](const auto& each) {
    if (each.second.peers != &peers) return false;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, each.second.process, nullptr);
    return true;
  });
}

void Watcher::run() noexcept {
  for (;;) {
    epoll_event event{};
    if (::epoll_wait(epoll_.get(), &event, 1, -1) != 1) continue;  // a signal: none comes here, but debuggers do
    const std::uint64_t watched = event.data.u64;  // epoll_event is packed: no reference may be bound to it
    if (watched == 0) return;
    const std::lock_guard lock(mutex_);
    const auto found = watched_.find(watched);
    if (found == watched_.end()) continue;  // forgotten meanwhile
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.process, nullptr);
    found->second.peers->say_death();
    watched_.erase(found);
  }
}

}  // namespace weft::comm_shm
