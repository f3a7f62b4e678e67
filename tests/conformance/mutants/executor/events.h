// The one thread that calls sinks: what it is given, in order.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace weft::mutant {

class Events {
 public:
  Events();
  // Everything that was posted is done first.
  ~Events();
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  void post(std::function<void()> event);
  // Until everything that was posted before is done. Not from an event.
  void drain();
  // Whether the event that is under way now, if there is one, ends in that time.
  bool goes_on_within(std::chrono::milliseconds time);
  bool in_its_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

 private:
  void run();

  std::mutex mutex_;  // guards events_, done_, busy_, ending_
  std::condition_variable changed_;
  std::deque<std::function<void()>> events_;
  std::int64_t done_ = 0;
  bool busy_ = false;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace weft::mutant
