// Each mutant fails exactly the cases that its mutants.toml names. WEFT_MUTANTS_WHOLE=1 runs all of level must on
// each of them besides its set and the controls (minutes).
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/conformance/harness/cases.h"
#include "tests/conformance/harness/sanitizer.h"
#include "tests/conformance/mutants/verdict.h"
#include "tests/support/temporary_directory.h"

namespace weft::conformance {

void PrintTo(const Mutant& mutant, std::ostream* out) { *out << mutant.folder << " " << mutant.name; }

namespace {

using nlohmann::json;

const MutantList& all_mutants() {
  static const MutantList list = [] {
    std::vector<std::string> rules;
    for (const auto& cases : {plugin_cases(), executor_cases(), communicator_cases(), balancer_cases(), device_cases()})
      for (const Case& one : cases)
        rules.emplace_back(one.id);
    return read_mutants(WEFT_SOURCE_DIR "/tests/conformance/mutants", rules);
  }();
  return list;
}

// Runs the suite on a mutant; `filter` empty: all of level must.
Outcomes run_suite_on(const Mutant& mutant, const std::string& filter) {
  const test::TemporaryDirectory directory;
  const std::string& out = directory.path();
  const std::string command = fmt::format(
      "WEFT_MUTANT_TIME_SCALE={} {} {} --plugin {}/tests/mutants/{}/{} --jobs 2 --seed 1 --time-scale {} --out {} {} "
      "{} > {}/log 2>&1",
      WEFT_CONFORMANCE_TIME_SCALE, mutant.name.empty() ? "env -u WEFT_MUTANT" : "WEFT_MUTANT=" + mutant.name,
      WEFT_CONFORMANCE_PROGRAM, WEFT_BUILD_DIR, mutant.folder, mutant.library, WEFT_CONFORMANCE_TIME_SCALE, out,
      mutant.profile.empty() ? "" : "--profile " + mutant.profile, filter.empty() ? "" : "--filter '" + filter + "'",
      out);
  const int status = std::system(command.c_str());
  const json report = json::parse(std::ifstream(out + "/report.json"), nullptr, false);
  Outcomes outcomes;
  if (!report.is_object()) {
    std::stringstream log;
    log << std::ifstream(out + "/log").rdbuf();
    ADD_FAILURE() << command << "\nleft no report, status " << status << "\n" << log.str();
    return outcomes;
  }
  for (const json& one : report.at("cases"))
    outcomes[one.at("id")] = {.outcome = one.at("outcome"), .message = one.at("message")};
  return outcomes;
}

class MutantTest : public ::testing::TestWithParam<Mutant> {};

TEST_P(MutantTest, FailsExactlyItsCases) {
  const Mutant& mutant = GetParam();
  const bool whole = std::getenv("WEFT_MUTANTS_WHOLE") != nullptr;
  std::set<std::string> asked = mutant.fails;
  asked.insert(mutant.controls.begin(), mutant.controls.end());
  if (whole) asked.insert("*");  // a case of a higher level runs where it is named
  const Outcomes outcomes = run_suite_on(mutant, fmt::format("{}", fmt::join(asked, ",")));
  const Verdict verdict = judge(mutant, outcomes, sanitized);
  EXPECT_EQ(verdict.wrong, "");
  if (!HasFailure() && !verdict.skipped.empty()) GTEST_SKIP() << verdict.skipped;
}

INSTANTIATE_TEST_SUITE_P(Conformance, MutantTest, ::testing::ValuesIn(all_mutants().mutants),
                         [](const auto& made) { return made.param.folder + "_" + made.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MutantTest);

class UnbrokenTest : public ::testing::TestWithParam<Mutant> {};

TEST_P(UnbrokenTest, PassesEverythingWhereNothingIsBroken) {
  EXPECT_EQ(judge(GetParam(), run_suite_on(GetParam(), ""), sanitized).wrong, "");
}

// "libweft-device-mutant.so" of folder device: "device_mutant".
std::string name_of(const Mutant& unbroken) {
  const std::size_t last = unbroken.library.rfind('-') + 1;
  return unbroken.folder + "_" + unbroken.library.substr(last, unbroken.library.rfind('.') - last);
}

INSTANTIATE_TEST_SUITE_P(Conformance, UnbrokenTest, ::testing::ValuesIn(all_mutants().unbroken),
                         [](const auto& made) { return name_of(made.param); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(UnbrokenTest);

TEST(MutantList, IsWhole) {
  EXPECT_TRUE(all_mutants().problems.empty()) << fmt::format("{}", fmt::join(all_mutants().problems, "\n"));
}

}  // namespace
}  // namespace weft::conformance
