#include "tests/conformance/mutants/verdict.h"

#include <fmt/format.h>

#include "tests/conformance/harness/sanitizer.h"

namespace weft::conformance {
namespace {

const CaseOutcome not_run{.outcome = "not run", .message = "the report does not have it"};

bool is_failure(const CaseOutcome& one) { return one.outcome != "PASS" && one.outcome != "SKIP"; }

std::string line(const std::string& id, const CaseOutcome& got, std::string_view wanted) {
  return fmt::format("  {}: expected {}, it is {}{}{}\n", id, wanted, got.outcome, got.message.empty() ? "" : ": ",
                     got.message);
}

}  // namespace

Verdict judge(const Mutant& mutant, const Outcomes& outcomes, bool under_sanitizer) {
  Verdict verdict;
  const auto outcome_of = [&](const std::string& id) {
    const auto found = outcomes.find(id);
    return found == outcomes.end() ? not_run : found->second;
  };
  const auto not_asked = [&](const CaseOutcome& one) {
    return under_sanitizer && one.outcome == "SKIP" && one.message.starts_with(sanitizer_skip);
  };
  for (const std::string& id : mutant.fails) {
    const CaseOutcome got = outcome_of(id);
    if (not_asked(got) && id == mutant.breaks) verdict.skipped = fmt::format("{} ({})", id, got.message);
    if (!not_asked(got) && (!is_failure(got) || got.outcome == not_run.outcome))
      verdict.wrong += line(id, got, "a failure");
  }
  for (const std::string& id : mutant.controls)
    if (const CaseOutcome got = outcome_of(id); got.outcome != "PASS" && !not_asked(got))
      verdict.wrong += line(id, got, "PASS, as a control");
  for (const auto& [id, got] : outcomes)
    if (is_failure(got) && !mutant.fails.contains(id) && !mutant.may_fail.contains(id) && !mutant.controls.contains(id))
      verdict.wrong += line(id, got, "no failure");
  return verdict;
}

}  // namespace weft::conformance
