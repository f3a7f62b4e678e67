// What a run of the suite says of a mutant.
#pragma once

#include <map>
#include <string>

#include "tests/conformance/mutants/mutant_list.h"

namespace weft::conformance {

struct CaseOutcome {
  std::string outcome;  // "PASS", "FAIL", ...
  std::string message;
};
using Outcomes = std::map<std::string, CaseOutcome>;  // by the case's id

struct Verdict {
  std::string wrong;    // a line for each case that came out otherwise than it must; empty: none did
  std::string skipped;  // why the case meant for the mutant cannot run here; empty: it ran
};

// The mutant must fail its cases and nothing else, and pass its controls. `under_sanitizer`: a case that says that it is
// skipped because of one is not asked; in any other build a skipped case has not failed, and that is wrong.
Verdict judge(const Mutant& mutant, const Outcomes& outcomes, bool under_sanitizer);

}  // namespace weft::conformance
