// SIGINT and SIGTERM, heard on a thread of its own, "signals", so that no handler runs in anybody's code.
#pragma once

#include <csignal>
#include <functional>
#include <mutex>
#include <thread>

#include "weft/time.h"

namespace weft::cli {

class Interrupts {
 public:
  // Blocks them. Made before any other thread, which all inherit the mask.
  Interrupts();
  // Starts the thread. Until listen(), one signal ends the process with exit_interrupted: nothing has been started.
  void begin();
  // From now on `heard` is told of each, on the thread, and must not block. After the second, which means at once, the
  // thread sees to it that the run does end: within `patience`, and sooner where a plugin's call is stuck.
  void listen(std::function<void()> heard, Duration patience);
  // After it returns the former `heard` is not called any more; what is destroyed next is still watched.
  void stop_listening();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

 private:
  void run();
  void tell();  // under the lock

  sigset_t signals_{};
  std::mutex mutex_;  // guards what follows; held while heard_ is called
  std::function<void()> heard_;
  bool listened_ = false;
  Duration patience_ = Duration::max();
  std::thread thread_;
};

}  // namespace weft::cli
