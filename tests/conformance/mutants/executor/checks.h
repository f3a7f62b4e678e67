// What a gang must be like to be launched, and what this machine is like.
#pragma once

#include "weft/executor.h"

namespace weft::mutant {

// One node, "here", with two pretended accelerators.
Node this_node();
Status check(const GangSpec& spec);

}  // namespace weft::mutant
