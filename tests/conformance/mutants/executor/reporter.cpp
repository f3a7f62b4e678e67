#include "tests/conformance/mutants/executor/reporter.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {
namespace {

std::atomic<int> ranks{0};  // that live

// A process that is to write a report and takes its time. It has all that this one had open, the keepers' control
// sockets among it: for them the head has not ended.
void start_reporter() {
  if (ranks == 0 || ::_Fork() != 0) return;
  ::alarm(300);
  while (true)
    ::pause();
}

void on_crash(int signal) {
  start_reporter();
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

void prepare_reports() {
  [[maybe_unused]] static const bool once = [] {
    if (breaks("a_report_of_the_crash")) ::signal(SIGABRT, &on_crash);
    if (breaks("a_report_at_exit")) (void)std::atexit(&start_reporter);
    return true;
  }();
}

void count_ranks(int more) { ranks += more; }

}  // namespace weft::mutant
