#include "tests/conformance/harness/cases.h"
#include "tests/conformance/plugin/groups.h"

namespace weft::conformance {

std::vector<Case> plugin_cases() {
  std::vector<Case> all;
  for (const auto group : {descriptor_cases, probe_cases, lifetime_cases, hygiene_cases, library_cases})
    for (const Case& one : group())
      all.push_back(one);
  return all;
}

}  // namespace weft::conformance
