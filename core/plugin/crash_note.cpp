#include "core/plugin/crash_note.h"

#include <unistd.h>

#include <algorithm>

namespace weft {
namespace {

// What the handler reads: written while no signal of ours is handled, never freed.
std::array<char, 1024> text{};
std::size_t text_size = 0;
crash_detail::Dispositions dispositions;

std::mutex& one_at_a_time() {
  static auto* const mutex = new std::mutex();  // outlives static destructors
  return *mutex;
}

// Only what is safe in a signal handler: write, sigaction, raise.
void handle(int signal) {
  crash_detail::spoken = true;
  crash_detail::write_all({text.data(), text_size});
  crash_detail::write_all(crash_detail::signal_text(signal));
  dispositions.pass_on(signal);
}

}  // namespace

namespace crash_detail {

std::atomic<bool> spoken{false};

void Dispositions::take(void (*handler)(int), bool block_all) {
  struct sigaction ours {};
  ours.sa_handler = handler;
  ours.sa_flags = SA_ONSTACK;  // where the host has an alternative stack, a stack that overflowed is told too
  if (block_all)
    for (const int signal : signals)
      sigaddset(&ours.sa_mask, signal);
  for (std::size_t i = 0; i < signals.size(); ++i)
    ::sigaction(signals[i], &ours, &before[i]);
}

void Dispositions::give_back(void (*handler)(int)) const {
  for (std::size_t i = 0; i < signals.size(); ++i) {
    struct sigaction now {};
    if (::sigaction(signals[i], nullptr, &now) == 0 && now.sa_handler == handler)
      ::sigaction(signals[i], &before[i], nullptr);
  }
}

void Dispositions::pass_on(int signal) const {
  for (std::size_t i = 0; i < signals.size(); ++i)
    if (signals[i] == signal) ::sigaction(signal, &before[i], nullptr);
  // Blocked while it is handled: it takes effect, with the former disposition, as soon as the handler returns. A fault that
  // comes of an instruction comes again by itself, but abort() and kill() do not.
  ::raise(signal);
}

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(STDERR_FILENO, text.data(), text.size());
    if (done <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(done));
  }
}

std::string_view signal_text(int signal) {
  switch (signal) {
    case SIGSEGV: return "SIGSEGV (invalid memory)\n";
    case SIGBUS: return "SIGBUS (invalid memory)\n";
    case SIGILL: return "SIGILL (an instruction that this processor lacks)\n";
    case SIGFPE: return "SIGFPE (arithmetic)\n";
    default: return "SIGABRT (abort)\n";
  }
}

}  // namespace crash_detail

CrashNote::CrashNote(const std::string& where) : alone_(one_at_a_time()) {
  const std::string line = "weft: " + where + ": the process crashed in it: ";
  text_size = std::min(line.size(), text.size());
  std::copy_n(line.begin(), text_size, text.begin());
  dispositions.take(&handle, false);
}

CrashNote::~CrashNote() { dispositions.give_back(&handle); }

}  // namespace weft
