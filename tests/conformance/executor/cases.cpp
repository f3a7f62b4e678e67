#include "tests/conformance/harness/cases.h"

#include "tests/conformance/executor/groups.h"
#include "tests/conformance/executor/rank_program.h"

namespace weft::conformance {

std::vector<Case> executor_cases() {
  std::vector<Case> all;
  for (const auto group : {ex::node_cases(), ex::launch_cases(), ex::refusal_cases(), ex::arrival_cases(),
                           ex::log_cases(), ex::exit_cases(), ex::stop_cases(), ex::family_cases(), ex::sink_cases(),
                           ex::close_cases(), ex::head_cases(), ex::endurance_cases(), ex::log_tail_cases()})
    all.insert(all.end(), group.begin(), group.end());
  return all;
}

std::vector<Program> executor_programs() { return {{"@rank", ex::run_rank}, {"@exit", ex::run_exit}}; }

}  // namespace weft::conformance
