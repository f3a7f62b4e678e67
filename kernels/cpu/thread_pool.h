// A few threads that share out the parts of one operation at a time.
//
// run() is called by one thread at a time, which works too. A worker that finds nothing to do looks on for a bounded
// while (the next operation of a step is microseconds away), then sleeps and takes no processor until it is woken. An
// operation never waits for a worker that has not yet come: whoever is awake does the parts.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

#include "weft/status.h"

namespace weft {

class ThreadPool {
 public:
  // `threads` with the caller's own, at least 1. Worker i is pinned to cpus[i % size]; without cpus none is pinned.
  // resource_exhausted if the system has no more threads.
  static Result<std::unique_ptr<ThreadPool>> make(int threads, std::span<const int> cpus);
  ~ThreadPool();

  int threads() const noexcept { return static_cast<int>(workers_.size()) + 1; }
  int sleeping() const noexcept { return sleeping_.load(); }

  // function(part, thread) once for each part in [0, parts), thread in [0, threads()); all done on return. No exception.
  template <class Function>
  void run(std::int64_t parts, Function&& function) noexcept {
    if (parts <= 1 || workers_.empty()) {
      for (std::int64_t part = 0; part < parts; ++part)
        function(part, 0);
      return;
    }
    using Plain = std::remove_reference_t<Function>;
    run_parts(
        parts, [](void* context, std::int64_t part, int thread) { (*static_cast<Plain*>(context))(part, thread); },
        const_cast<void*>(static_cast<const void*>(&function)));
  }

 private:
  using Call = void (*)(void* context, std::int64_t part, int thread);

  explicit ThreadPool(bool spins) noexcept : spins_(spins) {}
  void run_parts(std::int64_t parts, Call call, void* context) noexcept;
  void work(int thread) noexcept;
  void work_off(int thread) noexcept;
  template <class Ready>
  bool spin_until(Ready&& ready) const noexcept;

  const bool spins_;  // not where threads outnumber their processors
  // The operation under way. Written by run() while unclaimed_ is 0 and every part is done; read by whoever claims a part.
  Call call_ = nullptr;
  void* context_ = nullptr;
  std::int64_t parts_ = 0;
  alignas(64) std::atomic<std::int64_t> unclaimed_{0};
  alignas(64) std::atomic<std::int64_t> undone_{0};
  alignas(64) std::atomic<int> sleeping_{0};
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // guards nothing but the two waits against lost wake-ups
  std::condition_variable work_there_;
  std::condition_variable work_done_;
  std::vector<std::thread> workers_;
};

}  // namespace weft
