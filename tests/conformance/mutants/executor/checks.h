// What a gang must be like to be launched, and what this machine is like.
#pragma once

#include "weft/executor.h"

namespace weft::mutant {

// One node, "here", with two pretended accelerators; where every rank is placed.
Node this_node();
// That one, and of a broken rule another, "there".
std::vector<Node> all_nodes();
Status check(const GangSpec& spec);

}  // namespace weft::mutant
