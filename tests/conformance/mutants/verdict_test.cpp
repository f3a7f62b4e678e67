// The judge of mutants is not to be fooled.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/conformance/mutants/verdict.h"

namespace weft::conformance {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Mutant leaks{.folder = "plugin",
                   .library = "",
                   .name = "leaks",
                   .breaks = "PL-32",
                   .fails = {"PL-31", "PL-32"},
                   .may_fail = {"PL-35"},
                   .controls = {"PL-01"},
                   .profile = ""};

Outcomes outcomes(const std::string& of_31, const std::string& of_32, const std::string& of_control,
                  const std::string& message = "") {
  return {{"PL-01", {of_control, message}}, {"PL-31", {of_31, message}}, {"PL-32", {of_32, message}}};
}

TEST(Verdict, TheSetFailsAndTheControlsPass) {
  const Verdict verdict = judge(leaks, outcomes("CRASH", "FAIL", "PASS"), false);
  EXPECT_THAT(verdict.wrong, IsEmpty());
  EXPECT_THAT(verdict.skipped, IsEmpty());
}

TEST(Verdict, ACaseOfTheSetThatPassesOrDidNotRunIsWrong) {
  EXPECT_THAT(judge(leaks, outcomes("PASS", "FAIL", "PASS"), false).wrong, HasSubstr("PL-31"));
  EXPECT_THAT(judge(leaks, {{"PL-01", {"PASS", ""}}, {"PL-31", {"FAIL", ""}}}, false).wrong,
              HasSubstr("PL-32: expected a failure, it is not run"));
  EXPECT_THAT(judge(leaks, {}, true).wrong, HasSubstr("PL-01"));
}

TEST(Verdict, AFailureOutsideTheSetIsWrong) {
  Outcomes made = outcomes("FAIL", "TIMEOUT", "PASS");
  made["PL-40"] = {"FLAKE", "now and then"};
  EXPECT_THAT(judge(leaks, made, false).wrong, HasSubstr("PL-40: expected no failure, it is FLAKE: now and then"));
  made["PL-40"] = {"SKIP", "no such fixture"};
  EXPECT_THAT(judge(leaks, made, false).wrong, IsEmpty());
}

TEST(Verdict, ACaseThatMayFailMayAlsoPass) {
  Outcomes made = outcomes("FAIL", "FAIL", "PASS");
  for (const char* outcome : {"FAIL", "PASS", "TIMEOUT"}) {
    made["PL-35"] = {outcome, ""};
    EXPECT_THAT(judge(leaks, made, false).wrong, IsEmpty()) << outcome;
  }
}

TEST(Verdict, AControlThatIsSkippedProvesNothing) {
  EXPECT_THAT(judge(leaks, outcomes("FAIL", "FAIL", "SKIP"), false).wrong, HasSubstr("PL-01"));
}

TEST(Verdict, ASanitizersSkipExcusesUnderASanitizerOnly) {
  const Outcomes made{
      {"PL-01", {"PASS", ""}}, {"PL-31", {"FAIL", ""}}, {"PL-32", {"SKIP", "sanitizer: its heap is its own"}}};
  const Verdict there = judge(leaks, made, true);
  EXPECT_THAT(there.wrong, IsEmpty());
  EXPECT_THAT(there.skipped, HasSubstr("PL-32 (sanitizer: its heap"));
  EXPECT_THAT(judge(leaks, made, false).wrong, HasSubstr("PL-32"));
}

TEST(Verdict, AnotherSkipExcusesNowhere) {
  EXPECT_THAT(judge(leaks, outcomes("FAIL", "SKIP", "PASS", "the machine has no sanitizer: buy one"), true).wrong,
              HasSubstr("PL-32"));
}

}  // namespace
}  // namespace weft::conformance
