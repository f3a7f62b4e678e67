// What one rank knows of the others, and how it waits for them.
//
// A wait looks again and again for a few microseconds, if there are cores enough for all ranks, and then sleeps on this
// rank's bell. Everything that may end a wait rings it: a peer that posts or moves mail, a peer that breaks or closes,
// the watcher when a process dies, and abort().
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plugins/comm_shm/futex.h"
#include "plugins/comm_shm/segment.h"
#include "plugins/common/descriptor.h"
#include "plugins/common/transport.h"

namespace weft::comm_shm {

using plugins::Failure;
using plugins::Outcome;

// Moves messages while its rank waits for anything.
class Background {
 public:
  virtual ~Background() = default;
  virtual Outcome progress() = 0;
};

class Peers {
 public:
  // `processes`: a pidfd of each rank's process, by rank; empty where all are threads of this one (tests).
  Peers(Segment segment, std::int32_t rank, std::vector<plugins::Descriptor> processes);

  std::int32_t rank() const noexcept { return rank_; }
  std::int32_t size() const noexcept { return segment_.layout().size; }
  const Segment& segment() const noexcept { return segment_; }
  void drop_processes() noexcept {
    polled_.clear();
    processes_.clear();
  }
  const std::vector<plugins::Descriptor>& processes() const noexcept { return processes_; }
  RankControl& own() const noexcept { return segment_.control(rank_); }
  State state(std::int32_t peer) const noexcept { return segment_.control(peer).state.load(std::memory_order_acquire); }
  std::optional<std::string> reason_of(std::int32_t peer) const;

  // How long a wait watches before it sleeps. Before the first wait.
  void set_spin(Duration spin) noexcept { spin_ = spin; }
  // Waits call `background` while it is `busy`.
  void set_background(Background* background) noexcept { background_ = background; }
  void set_busy(bool busy) noexcept { busy_ = busy; }

  // After this rank has changed what a peer may wait for (with sequentially consistent order): wakes it if it sleeps.
  void notify(std::int32_t peer) noexcept;
  void notify_all() noexcept;

  // Waits until ready(), a function without side effects that reads shared memory with sequentially consistent order;
  // `peer` is the rank that it depends on. False: the deadline passed. A failure: some rank died or left, the peer
  // closed, or stop().
  template <class Ready>
  tl::expected<bool, Failure> wait(std::int32_t peer, Deadline deadline, Ready&& ready);

  // Asks the kernel whether a rank's process has ended; costs a system call.
  Outcome look() noexcept;

  // This rank's end: lets all ranks know, and ends a wait of this one. Any thread.
  void say_broken(const Error& why) noexcept;
  void say_closed() noexcept;
  // A process has died: the watcher's thread says so.
  void say_death() noexcept;

 private:
  void ring(std::int32_t peer) noexcept;
  void move_background();
  // What has happened to any rank. `peer` is needed, and must not have closed.
  Outcome inspect(std::int32_t peer) noexcept;

  const Segment segment_;
  const std::int32_t rank_;
  std::vector<plugins::Descriptor> processes_;
  std::vector<pollfd> polled_;  // the same, as poll() wants them
  Duration spin_{};
  Background* background_ = nullptr;
  bool busy_ = false;
  std::optional<Failure> fault_;  // of the background
  std::atomic<bool> stopped_{false};
  std::atomic<bool> death_{false};
};

template <class Ready>
tl::expected<bool, Failure> Peers::wait(std::int32_t peer, Deadline deadline, Ready&& ready) {
  const auto look_again = [&] {
    if (busy_) move_background();
    return ready();
  };
  if (look_again()) return true;
  if (spin_ > Duration::zero()) {
    const Deadline sleep = Deadline::in(spin_).earlier(deadline);
    do {
      for (int i = 0; i < 16; ++i) {
        if (look_again()) return true;
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
      }
    } while (!sleep.passed() && !stopped_.load(std::memory_order_relaxed));
  }
  RankControl& mine = own();
  for (;;) {
    const std::uint32_t seen = mine.bell.load(std::memory_order_acquire);
    // From here on whoever does what we wait for rings; what was done before we see when we look now.
    mine.waiting_for.store(busy_ ? for_anybody : static_cast<std::uint32_t>(peer) + 1, std::memory_order_seq_cst);
    bool there = look_again();
    Outcome whole = there ? Outcome{} : inspect(peer);
    if (!whole) there = look_again();  // it may have come before that happened
    const bool late = !there && whole && deadline.passed();
    if (!there && whole && !late) futex_wait(mine.bell, seen, deadline);
    mine.waiting_for.store(for_nobody, std::memory_order_relaxed);
    if (there) return true;
    if (!whole) return tl::unexpected<Failure>(std::move(whole).error());
    if (late) return false;
  }
}

}  // namespace weft::comm_shm
