// SIGINT and SIGTERM as something to poll, for as long as it lives. They nest: what one takes, the others do not see.
#pragma once

#include <signal.h>

namespace weft::conformance {

class Interrupts {
 public:
  Interrupts();
  ~Interrupts();  // forgets those that came and were not asked for
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  int descriptor() const noexcept { return descriptor_; }
  // Whether any came since the last call.
  bool take() const;

 private:
  sigset_t before_{};
  int descriptor_ = -1;
};

}  // namespace weft::conformance
