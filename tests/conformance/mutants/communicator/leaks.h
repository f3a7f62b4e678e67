// What groups of some mutants leave behind.
#pragma once

#include <string>

namespace mutant {

// The name of a file in /dev/shm, or nothing.
std::string leak_at_open();
void end_segment(const std::string& name);

}  // namespace mutant
