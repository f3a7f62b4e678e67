// State of the whole process, which a communicator must not have: some mutants do.
#pragma once

#include <cstddef>

#include "weft/communicator.h"

namespace mutant {

// Asked before an open; an error is its answer.
weft::Status check_process(const weft::GroupSpec& spec);
// Of every group that ends.
void leave_process(const weft::GroupSpec& spec);

// A peer of some group has died.
void somebody_died();
// After 150 all_gathers of the process the next ones are wrong in a bit.
void spoil_when_tired(std::byte* data, std::size_t bytes);

}  // namespace mutant
