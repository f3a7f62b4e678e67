// Every case of the suite, by kind. A kind's folder defines its function in <folder>/cases.cpp.
#pragma once

#include <string_view>
#include <vector>

#include "tests/conformance/harness/case.h"

namespace weft::conformance {

std::vector<Case> plugin_cases();        // PL: every kind
std::vector<Case> executor_cases();      // EX
std::vector<Case> communicator_cases();  // CM
std::vector<Case> balancer_cases();      // LB
std::vector<Case> device_cases();        // DV

std::vector<Program> executor_programs();
std::vector<Program> communicator_programs();

// PL and the kind's own, in the contract's order.
std::vector<Case> cases_for(std::string_view kind);

}  // namespace weft::conformance
