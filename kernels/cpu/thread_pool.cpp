#include "kernels/cpu/thread_pool.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <chrono>
#include <new>
#include <system_error>

#include "weft/time.h"

namespace weft {
namespace {

// As long as the pause between the operations of a step, sampling included, of a small model.
constexpr auto spin_time = std::chrono::microseconds(60);

void pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// Best effort: a processor that may not be used leaves the thread where the process is.
void pin(std::thread& thread, int cpu) noexcept {
  if (cpu < 0 || cpu >= CPU_SETSIZE) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);
}

}  // namespace

Result<std::unique_ptr<ThreadPool>> ThreadPool::make(int threads, std::span<const int> cpus) {
  if (threads < 1) return fail(ErrorCode::invalid_argument, fmt::format("{} threads, expected 1 or more", threads));
  const std::size_t processors = cpus.empty() ? std::thread::hardware_concurrency() : cpus.size();
  try {
    std::unique_ptr<ThreadPool> pool(new ThreadPool(static_cast<std::size_t>(threads) <= processors));
    pool->workers_.reserve(static_cast<std::size_t>(threads) - 1);
    for (int i = 1; i < threads; ++i) {
      ThreadPool* self = pool.get();
      std::thread& worker = pool->workers_.emplace_back([self, i] { self->work(i); });
      pthread_setname_np(worker.native_handle(), fmt::format("weft-cpu-{}", i).c_str());
      if (!cpus.empty()) pin(worker, cpus[static_cast<std::size_t>(i) % cpus.size()]);
    }
    return pool;
  } catch (const std::system_error& error) {
    return fail(ErrorCode::resource_exhausted, fmt::format("{} threads: {}", threads, error.what()));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::resource_exhausted, fmt::format("{} threads: no memory left", threads));
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  { const std::lock_guard lock(mutex_); }
  work_there_.notify_all();
  for (std::thread& worker : workers_)
    worker.join();
}

template <class Ready>
bool ThreadPool::spin_until(Ready&& ready) const noexcept {
  if (ready()) return true;
  if (!spins_) return false;
  const Deadline deadline = Deadline::in(spin_time);
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      pause();
    }
  } while (!deadline.passed());
  return false;
}

// A part is claimed by taking it out of unclaimed_. Only then is the operation read: it cannot change before its parts
// are done, and this one is not.
void ThreadPool::work_off(int thread) noexcept {
  std::int64_t left = unclaimed_.load();
  while (left > 0) {
    if (!unclaimed_.compare_exchange_weak(left, left - 1)) continue;
    call_(context_, parts_ - left, thread);
    if (undone_.fetch_sub(1) == 1 && caller_sleeps_.load()) {
      const std::lock_guard lock(mutex_);
      work_done_.notify_one();
    }
    left = unclaimed_.load();
  }
}

void ThreadPool::work(int thread) noexcept {
  const auto ready = [&] { return unclaimed_.load() > 0 || stop_.load(); };
  while (!stop_.load()) {
    if (!spin_until(ready)) {
      std::unique_lock lock(mutex_);
      sleeping_.fetch_add(1);
      work_there_.wait(lock, ready);  // ends with the next operation or the destructor
      sleeping_.fetch_sub(1);
    }
    work_off(thread);
  }
}

// Sleepers announce themselves before they look for work a last time, and run() offers work before it looks for
// sleepers, all in one order (seq_cst): one of the two sees the other.
void ThreadPool::run_parts(std::int64_t parts, Call call, void* context) noexcept {
  call_ = call;
  context_ = context;
  parts_ = parts;
  undone_.store(parts);
  unclaimed_.store(parts);
  if (sleeping_.load() > 0) {
    { const std::lock_guard lock(mutex_); }
    work_there_.notify_all();
  }
  work_off(0);
  const auto done = [&] { return undone_.load() == 0; };
  if (spin_until(done)) return;
  std::unique_lock lock(mutex_);
  caller_sleeps_.store(true);
  work_done_.wait(lock, done);  // ends with the last part: parts are bounded work on memory
  caller_sleeps_.store(false);
}

}  // namespace weft
