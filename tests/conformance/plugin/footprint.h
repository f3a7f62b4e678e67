// What a process has and how it is set, so that two looks can be compared: what a plugin left behind or changed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/conformance/harness/context.h"

namespace weft::conformance {

// What a process holds. Each list sorted.
struct Holdings {
  std::vector<std::string> descriptors;  // "socket:[123]", "/a/file"
  std::vector<std::string> threads;      // "worker (123)"
  std::vector<std::string> children;     // "sleep (123)", zombies too
};
Holdings look_at_holdings();
// "descriptor /a/file, thread worker (123)": what `after` has and `before` has not; empty: nothing.
std::string more_in(const Holdings& after, const Holdings& before);

// Fails unless the process soon holds no more than `before`. Soon: a joined thread's entry in /proc goes a moment after
// the join.
void expect_no_more(Context& context, const Holdings& before, std::string_view when);

// Fails unless soon no process is left that this one started, or that was orphaned by one of those: it is the warden's child
// then, as the case's own process is. For a body that has started none itself, in the case's own process.
void expect_no_processes(Context& context, std::string_view when);

// The same for processes that go on in a copy of this one: whoever means to run a program has soon done so.
void expect_no_copies(Context& context, std::string_view when);

// How the process and the calling thread are set.
struct Settings {
  std::map<std::string, std::string> signal_handlers;  // by signal: handler, flags and mask
  std::string signal_mask;
  std::string directory;                           // and umask
  std::map<std::string, std::string> environment;  // by name
  std::string locale;
  std::string floating_point;
  std::string limits;  // resource limits, priority, CPUs of the thread
  std::string cxx_handlers;
};
Settings look_at_settings();

// What is different in `after`, for a message; empty: nothing. Of an environment only names are told ("added HOME_OF_IT,
// changed PATH"): values may be secrets, and messages end up in the logs of build servers.
std::string change(const std::string& before, const std::string& after);
std::string change(const std::map<std::string, std::string>& before, const std::map<std::string, std::string>& after);

}  // namespace weft::conformance
