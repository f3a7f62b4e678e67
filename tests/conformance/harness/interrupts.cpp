#include "tests/conformance/harness/interrupts.h"

#include <sys/signalfd.h>
#include <unistd.h>

namespace weft::conformance {

Interrupts::Interrupts() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &set, &before_);
  descriptor_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// One left pending would end the process as soon as it is let through again.
Interrupts::~Interrupts() {
  (void)take();
  ::close(descriptor_);
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

bool Interrupts::take() const {
  bool any = false;
  signalfd_siginfo one{};
  while (::read(descriptor_, &one, sizeof one) == static_cast<ssize_t>(sizeof one))
    any = true;
  return any;
}

}  // namespace weft::conformance
