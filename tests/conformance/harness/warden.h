// The process between the runner and a case. See case_process.h.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "tests/conformance/harness/context.h"

namespace weft::conformance {

// Runs the case in a child, writes the answer (JSON) to `pipe`, never returns.
[[noreturn]] void warden_main(Context::Setup setup, std::chrono::milliseconds limit, int pipe);

// Kills and reaps every descendant of this process, which is their subreaper. The names of those that were there.
std::vector<std::string> end_descendants();

}  // namespace weft::conformance
