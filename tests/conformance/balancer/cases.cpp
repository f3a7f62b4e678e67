#include "tests/conformance/harness/cases.h"

#include "tests/conformance/balancer/groups.h"

namespace weft::conformance {

std::vector<Case> balancer_cases() {
  std::vector<Case> all;
  for (const auto group : {eligibility_cases(), charge_cases(), fairness_cases(), noise_cases(), membership_cases(),
                           determinism_cases(), affinity_cases(), balancer_cost_cases()})
    all.insert(all.end(), group.begin(), group.end());
  return all;
}

}  // namespace weft::conformance
