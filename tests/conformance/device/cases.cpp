#include "tests/conformance/harness/cases.h"

#include "tests/conformance/device/groups.h"

namespace weft::conformance {

std::vector<Case> device_cases() {
  std::vector<Case> all;
  for (const auto group : {device_memory_cases(), device_weight_cases(), device_row_cases(), device_sequence_cases(),
                           device_refusal_cases(), device_conduct_cases()})
    all.insert(all.end(), group.begin(), group.end());
  return all;
}

}  // namespace weft::conformance
