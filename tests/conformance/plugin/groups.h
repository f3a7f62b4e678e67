// The groups of rules that hold for every kind of plugin; one file each.
#pragma once

#include <vector>

#include "tests/conformance/harness/case.h"

namespace weft::conformance {

std::vector<Case> descriptor_cases();  // PL-01 ...: what weft_plugin() returns
std::vector<Case> probe_cases();       // PL-20 ...: what loading and probing leave behind
std::vector<Case> lifetime_cases();    // PL-30 ...: create, query and destroy
std::vector<Case> hygiene_cases();     // PL-50 ...: what a plugin leaves alone in its process
std::vector<Case> library_cases();     // PL-70 ...: the ELF file

}  // namespace weft::conformance
