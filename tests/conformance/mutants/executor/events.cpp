#include "tests/conformance/mutants/executor/events.h"

#include <pthread.h>

namespace weft::mutant {

Events::Events() : thread_([this] { run(); }) { (void)::pthread_setname_np(thread_.native_handle(), "mutant-events"); }

Events::~Events() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void Events::post(std::function<void()> event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
  changed_.notify_all();
}

void Events::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return events_.empty() && !busy_; });  // the events end by themselves
}

bool Events::goes_on_within(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  const std::int64_t before = done_;
  return !busy_ || in_its_thread() || changed_.wait_for(lock, time, [&] { return done_ > before; });
}

void Events::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return !events_.empty() || ending_; });
    if (events_.empty()) return;
    const std::function<void()> event = std::move(events_.front());
    events_.pop_front();
    busy_ = true;
    lock.unlock();
    event();
    lock.lock();
    busy_ = false;
    ++done_;
    changed_.notify_all();
  }
}

}  // namespace weft::mutant
