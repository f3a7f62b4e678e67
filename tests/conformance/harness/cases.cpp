#include "tests/conformance/harness/cases.h"

namespace weft::conformance {

std::vector<Case> cases_for(std::string_view kind) {
  std::vector<Case> all = plugin_cases();
  std::vector<Case> own;
  if (kind == "executor") own = executor_cases();
  if (kind == "communicator") own = communicator_cases();
  if (kind == "load_balancer") own = balancer_cases();
  if (kind == "device") own = device_cases();
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

}  // namespace weft::conformance
