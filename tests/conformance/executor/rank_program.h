// What this binary is when an executor starts it as a rank.
//
//   weft-conformance @rank SOCKET NAME [anything...]   tells the case that it is there, and does what it is told
//   weft-conformance @exit CODE                        ends
//
// A @rank looks at what it was given (descriptors, signals) before it does anything, connects to the case's socket and
// says ["hello", NAME, its pid]. Then each message is a command:
//
//   ping                       -> ["pong"]
//   arguments | environment    -> as they arrived
//   descriptors                -> what was open at the start, "7 /a/file"
//   signals                    -> [SigBlk, SigIgn, SigCgt] of /proc/self/status at the start
//   cpus                       -> the CPUs it may run on
//   place                      -> [host name, network namespace]: where it runs
//   group                      -> [process group, session]
//   cgroup                     -> [its cgroup of version 2, as /proc/self/cgroup has it; "" where it is in none]
//   input                      -> ["end", what standard input held] or ["open"]
//   print DESCRIPTOR TEXT      -> ["done"] or ["failed", why]
//   ignore SIGNAL              -> ["done"]
//   honour SIGNAL CODE         -> ["done"]; at the signal it says ["signal"] and exits with CODE
//   close DESCRIPTOR           -> ["done"]
//   child NAME group|session   -> ["done"]; a forked process says hello under NAME and takes commands as well
//   exit CODE, raise SIGNAL    -> no answer
//
// It ends by itself when the case has gone.
#pragma once

#include <string>

#include "tests/conformance/harness/case.h"

namespace weft::conformance::ex {

int run_rank(std::span<char*> arguments);
int run_exit(std::span<char*> arguments);

std::string cgroup_of_this_process();

}  // namespace weft::conformance::ex
