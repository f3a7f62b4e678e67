// Operations on sequences; the arguments have been checked.
#pragma once

#include "tests/conformance/mutants/device/parts.h"

namespace weft::mutant {

void rope_and_append(const RopeArgs& args);
void attention(const AttentionArgs& args);

}  // namespace weft::mutant
