#include "tests/conformance/harness/cases.h"

#include "tests/conformance/communicator/groups.h"

namespace weft::conformance {

std::vector<Case> communicator_cases() {
  std::vector<Case> all;
  for (const auto group : {collective_cases(), value_cases(), message_cases(), refusal_cases(), open_cases(),
                           failure_cases(), abort_cases(), closing_cases(), together_cases()})
    all.insert(all.end(), group.begin(), group.end());
  return all;
}

// Ranks are forked: a communicator starts no program.
std::vector<Program> communicator_programs() { return {}; }

}  // namespace weft::conformance
