// One run from the command line to the reports.
#pragma once

#include "tests/conformance/harness/arguments.h"

namespace weft::conformance {

// The exit code. Results go to standard output, everything else to standard error.
int run_suite(const Arguments& arguments);

}  // namespace weft::conformance
