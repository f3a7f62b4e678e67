// Sleeping on a word of shared memory until another thread or process wakes us.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

#include "weft/time.h"

namespace weft::comm_shm {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free,
              "ranks of several processes share these");
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

// Sleeps while the word holds `seen`, at most until the deadline. May also return for no reason.
inline void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t seen, Deadline deadline) noexcept {
  // The steady clock is CLOCK_MONOTONIC, which is the one of FUTEX_WAIT_BITSET's absolute time.
  const auto at = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.at().time_since_epoch()).count();
  const timespec until{.tv_sec = at / 1'000'000'000, .tv_nsec = at % 1'000'000'000};
  const timespec* limit = deadline.at() == Time::max() ? nullptr : &until;
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAIT_BITSET, seen, limit, nullptr,
            FUTEX_BITSET_MATCH_ANY);
}

inline void futex_wake_all(std::atomic<std::uint32_t>& word) noexcept {
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace weft::comm_shm
