#include "cli/interrupts.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include "cli/exit_code.h"
#include "cli/run_guard.h"

namespace weft::cli {
namespace {

constexpr int end_of_waiting = SIGUSR2;  // our own

}  // namespace

Interrupts::Interrupts() {
  sigemptyset(&signals_);
  for (const int signal : {SIGINT, SIGTERM, end_of_waiting})
    sigaddset(&signals_, signal);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

void Interrupts::begin() {
  thread_ = std::thread([this] { run(); });
  (void)pthread_setname_np(thread_.native_handle(), "signals");
}

void Interrupts::listen(std::function<void()> heard, Duration patience) {
  const std::lock_guard lock(mutex_);
  heard_ = std::move(heard);
  patience_ = patience;
  listened_ = true;
}

void Interrupts::stop_listening() {
  const std::lock_guard lock(mutex_);
  heard_ = nullptr;
}

Interrupts::~Interrupts() {
  if (!thread_.joinable()) return;
  pthread_kill(thread_.native_handle(), end_of_waiting);
  thread_.join();
}

void Interrupts::run() {
  constexpr timespec look_again{.tv_sec = 1, .tv_nsec = 0};
  int count = 0;
  Time second{};
  for (;;) {
    // None (below 0) from time to time once the run ought to end at once.
    const int signal = sigtimedwait(&signals_, nullptr, count > 1 ? &look_again : nullptr);
    if (signal == end_of_waiting) return;
    if (signal > 0 && ++count == 2) second = Clock::now();
    const std::lock_guard lock(mutex_);
    if (signal > 0) tell();
    if (count > 1) end_if_stuck(Clock::now() - second, patience_);
  }
}

void Interrupts::tell() {
  if (heard_) return heard_();
  if (listened_) return;  // it is ending already
  constexpr std::string_view text = "interrupted while starting: nothing was done; the same command starts again\n";
  (void)!write(STDERR_FILENO, text.data(), text.size());
  _exit(exit_interrupted);
}

}  // namespace weft::cli
