// The groups of rules, one file each.
#pragma once

#include <span>

#include "tests/conformance/harness/case.h"

namespace weft::conformance {

std::span<const Case> collective_cases();  // CM-01 ...: what each collective gives
std::span<const Case> value_cases();       // CM-20 ...: sums, extremes, bits
std::span<const Case> message_cases();     // CM-30 ...: send and recv
std::span<const Case> refusal_cases();     // CM-40 ...: calls that cannot be
std::span<const Case> open_cases();        // CM-50 ...: meeting, and not meeting
std::span<const Case> failure_cases();     // CM-60 ...: ranks that die, stop or leave, deadlines
std::span<const Case> abort_cases();       // CM-70 ...
std::span<const Case> closing_cases();     // CM-80 ...: the end of groups, and what is left
std::span<const Case> together_cases();    // CM-90 ...: several groups, threads, time

}  // namespace weft::conformance
