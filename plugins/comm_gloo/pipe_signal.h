// Gloo writes to sockets that a peer may have closed, and does not ask the kernel to spare us SIGPIPE.
#pragma once

#include <csignal>

namespace weft::comm_gloo {

// Keeps SIGPIPE from this thread while it lives, and takes away one that came. Does nothing in a process that does not
// die of SIGPIPE anyway, as Weft's own; asked once, because asking is a system call.
class PipeSignalGuard {
 public:
  PipeSignalGuard() noexcept {
    if (!deadly()) return;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    guarding_ = pthread_sigmask(SIG_BLOCK, &pipe_, &before_) == 0 && sigismember(&before_, SIGPIPE) == 0;
  }
  ~PipeSignalGuard() {
    if (!guarding_) return;
    const timespec now{};
    while (sigtimedwait(&pipe_, nullptr, &now) == SIGPIPE) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  PipeSignalGuard(const PipeSignalGuard&) = delete;
  PipeSignalGuard& operator=(const PipeSignalGuard&) = delete;

 private:
  static bool deadly() noexcept {
    static const bool found = [] {
      struct sigaction action {};
      return sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
    }();
    return found;
  }

  sigset_t pipe_{};
  sigset_t before_{};
  bool guarding_ = false;
};

}  // namespace weft::comm_gloo
