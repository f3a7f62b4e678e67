// contract.md, the tables of cases and mustpass/v1.txt say the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>

#include "tests/conformance/harness/cases.h"
#include "tests/conformance/harness/mustpass.h"

namespace weft::conformance {
namespace {

std::vector<Case> every_case() {
  std::vector<Case> cases;
  for (const auto& some : {plugin_cases(), executor_cases(), communicator_cases(), balancer_cases(), device_cases()})
    cases.insert(cases.end(), some.begin(), some.end());
  return cases;
}

std::set<std::string> ids_of(const std::vector<Case>& cases) {
  std::set<std::string> ids;
  for (const Case& one : cases)
    ids.insert(one.id);
  return ids;
}

TEST(Contract, EveryRuleHasACaseAndEveryCaseARule) {
  std::ifstream contract(WEFT_SOURCE_DIR "/docs/plugins/contract.md");
  const std::regex rule(R"(^\*\*([A-Z]{2}-[0-9]+)\*\* \S.*)");
  std::set<std::string> rules;
  std::smatch found;
  for (std::string line; std::getline(contract, line);)
    if (std::regex_match(line, found, rule)) {
      EXPECT_TRUE(rules.insert(found[1]).second) << "two rules are called " << found[1];
    }
  const std::set<std::string> cases = ids_of(every_case());
  for (const std::string& id : rules)
    EXPECT_TRUE(cases.contains(id)) << "the contract's rule " << id << " has no case";
  for (const std::string& id : cases)
    EXPECT_TRUE(rules.contains(id)) << "case " << id << " has no line '**" << id << "** ...' in contract.md";
}

TEST(Contract, CasesAreWhole) {
  std::set<std::string> ids;
  for (const Case& one : every_case()) {
    EXPECT_TRUE(ids.insert(one.id).second) << "two cases are called " << one.id;
    EXPECT_TRUE(std::regex_match(one.id, std::regex("(PL|EX|CM|LB|DV)-[0-9]+"))) << one.id;
    EXPECT_STRNE(one.title, "") << one.id;
    EXPECT_STRNE(one.rationale, "") << one.id;
    EXPECT_STREQ(one.since, "1") << one.id;
    EXPECT_NE(one.body, nullptr) << one.id;
    EXPECT_TRUE(std::regex_match(one.needs, std::regex(R"(((cap:[a-z_]+|fixture:[a-z_]+(=[0-9]+)?) ?)*)")))
        << one.needs;
  }
}

TEST(MustPass, ListsEveryMustCaseOfItsVersionOnceAndNothingElse) {
  const auto list = load_mustpass(WEFT_SOURCE_DIR "/tests/conformance/mustpass/v1.txt");
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->version, "1");
  std::set<std::string> listed;
  for (const std::string& id : list->ids)
    EXPECT_TRUE(listed.insert(id).second) << id << " stands in the list twice";
  std::set<std::string> must;
  for (const Case& one : every_case())
    if (one.level == Level::must && std::string_view(one.since) == "1") must.insert(one.id);
  EXPECT_EQ(listed, must) << "`weft-conformance --list` gives the ids; lines are added, never taken out";
}

TEST(MustPass, ALineWithoutItsCaseIsAnError) {
  const MustPass list{.version = "1", .ids = {"PL-01", "PL-9999"}};
  const auto cases = plugin_cases();
  const auto chosen = listed_cases(list, cases);
  ASSERT_FALSE(chosen);
  EXPECT_THAT(chosen.error().message, ::testing::HasSubstr("PL-9999"));
}

// Claims of a list of three rules, of which these came out.
Claim claim_of_three(const std::vector<Outcome>& outcomes) {
  std::vector<CaseResult> results;
  for (const Outcome outcome : outcomes)
    results.push_back({.tested = nullptr, .outcome = outcome});
  return claim_of({.version = "1", .ids = {}}, 3, results);
}

TEST(Claim, HoldsWhereEachRuleHoldsOrDoesNotApplyOrIsWaived) {
  EXPECT_TRUE(claim_of_three({Outcome::pass, Outcome::pass, Outcome::pass}).holds);
  const Claim claim = claim_of_three({Outcome::pass, Outcome::skip, Outcome::xfail});
  EXPECT_TRUE(claim.holds);
  EXPECT_EQ(claim.text(), "claimed: 1 rules hold, 1 do not apply, 1 waived");
}

TEST(Claim, FallsWithOneRuleThatFailsWasNotReachedOrHoldsOnlyNowAndThen) {
  for (const Outcome bad : {Outcome::fail, Outcome::crash, Outcome::timeout, Outcome::flake, Outcome::xpass})
    EXPECT_FALSE(claim_of_three({Outcome::pass, Outcome::pass, bad}).holds) << to_string(bad);
  EXPECT_FALSE(claim_of_three({Outcome::pass, Outcome::pass}).holds);  // the run was interrupted
  EXPECT_FALSE(claim_of_three({Outcome::skip, Outcome::skip, Outcome::skip}).holds);
  EXPECT_FALSE(claim_of({.version = "1", .ids = {}}, 0, {}).holds);
}

TEST(MustPass, LinesOfOtherKindsAreLeftOut) {
  const MustPass list{.version = "1", .ids = {"PL-01", "ZZ-01"}};
  const auto cases = plugin_cases();
  const auto chosen = listed_cases(list, cases);
  ASSERT_TRUE(chosen);
  ASSERT_EQ(chosen->size(), 1u);
  EXPECT_STREQ(chosen->front()->id, "PL-01");
}

}  // namespace
}  // namespace weft::conformance
