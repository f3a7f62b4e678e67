// The plugin's one thread, "weft-shm": it sleeps until a process of some open group ends, and wakes that group. It lives
// as long as a group does.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "plugins/common/descriptor.h"
#include "weft/status.h"

namespace weft::comm_shm {

class Peers;

// Any thread.
class Watcher {
 public:
  // The thread runs on `cpus`; empty: anywhere.
  static Result<std::shared_ptr<Watcher>> start(std::span<const int> cpus);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // Calls peers.say_death() when one of its processes has ended, until forget().
  Status watch(Peers& peers);
  // Afterwards nothing is called any more.
  void forget(Peers& peers) noexcept;

 private:
  Watcher(plugins::Descriptor epoll, plugins::Descriptor end);
  void run() noexcept;

  struct Watched {
    Peers* peers;
    int process;
  };
  const plugins::Descriptor epoll_;
  const plugins::Descriptor end_;  // an eventfd: the thread ends
  std::mutex mutex_;               // guards the two below, and is held while a group is woken
  std::uint64_t numbers_ = 0;
  std::map<std::uint64_t, Watched> watched_;  // by what epoll says
  std::thread thread_;
};

}  // namespace weft::comm_shm
