#include "tests/conformance/harness/cases.h"

namespace weft::conformance {

std::vector<Case> device_cases() { return {}; }

}  // namespace weft::conformance
