#include "tests/conformance/harness/cases.h"

namespace weft::conformance {

std::vector<Case> balancer_cases() { return {}; }

}  // namespace weft::conformance
