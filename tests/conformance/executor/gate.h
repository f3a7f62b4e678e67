// Holds a sink's call up until a case lets it go, so that a case can look at an executor whose thread is busy.
#pragma once

#include <condition_variable>
#include <mutex>

#include "tests/conformance/executor/post.h"
#include "tests/conformance/harness/context.h"

namespace weft::conformance::ex {

class Gate {
 public:
  explicit Gate(const Context& context) : context_(context) {}
  ~Gate() {
    open();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return inside_ == 0; });  // nothing holds them any more
  }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // In the sink's call: until open(). Fails if the case does not get there.
  void hold() {
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.notify_all();
    const Deadline deadline = Deadline::in(patience(context_));
    while (!open_ && !deadline.passed())
      changed_.wait_until(lock, deadline.at());
    const bool opened = open_;
    --inside_;
    changed_.notify_all();
    lock.unlock();
    context_.expect(opened, "a call of the executor waits until the sink's call has returned");
  }
  // In the case: until a call is held.
  void wait_held() {
    std::unique_lock lock(mutex_);
    context_.wait_until(
        lock, changed_, [&] { return inside_ > 0; }, patience(context_), "the sink was not called");
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  const Context& context_;
  std::mutex mutex_;  // guards inside_, open_
  std::condition_variable changed_;
  int inside_ = 0;
  bool open_ = false;
};

}  // namespace weft::conformance::ex
