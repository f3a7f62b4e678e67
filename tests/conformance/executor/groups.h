// The groups of rules, one file each.
#pragma once

#include <span>

#include "tests/conformance/harness/case.h"

namespace weft::conformance::ex {

std::span<const Case> node_cases();       // EX-01 ...: the inventory, and where ranks are placed
std::span<const Case> launch_cases();     // EX-20 ...: gangs that start
std::span<const Case> refusal_cases();    // EX-30 ...: gangs that cannot start
std::span<const Case> arrival_cases();    // EX-40 ...: what a rank finds when it starts
std::span<const Case> log_cases();        // EX-50 ...: where its output goes
std::span<const Case> exit_cases();       // EX-55 ...: how it ends
std::span<const Case> stop_cases();       // EX-60 ...: how it is ended
std::span<const Case> family_cases();     // EX-70 ...: its children
std::span<const Case> sink_cases();       // EX-75 ...: how the sink is called
std::span<const Case> close_cases();      // EX-80 ...: the executor's end
std::span<const Case> head_cases();       // EX-88 ...: the end of the executor's process
std::span<const Case> endurance_cases();  // EX-95 ...: many gangs, many threads
std::span<const Case> log_tail_cases();   // EX-98 ...: weft/executor_log_tail.h

}  // namespace weft::conformance::ex
