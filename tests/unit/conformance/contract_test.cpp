// The contract's pages, the tables of cases and mustpass/v1.txt say the same.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>

#include "tests/conformance/harness/arguments.h"
#include "tests/conformance/harness/cases.h"
#include "tests/conformance/harness/mustpass.h"
#include "tests/support/temporary_directory.h"

namespace weft::conformance {
namespace {

std::vector<Case> every_case() {
  std::vector<Case> cases;
  for (const auto& some : {plugin_cases(), executor_cases(), communicator_cases(), balancer_cases(), device_cases()})
    cases.insert(cases.end(), some.begin(), some.end());
  return cases;
}

const std::filesystem::path lists = WEFT_SOURCE_DIR "/tests/conformance/mustpass";

std::set<std::string> ids_of(const std::vector<Case>& cases) {
  std::set<std::string> ids;
  for (const Case& one : cases)
    ids.insert(one.id);
  return ids;
}

// A page of the contract, the letters that its rules' numbers begin with, and the cases that prove them.
struct Page {
  std::string file;  // from docs/plugins/
  std::string prefix;
  std::vector<Case> cases;
};

std::vector<Page> pages() {
  return {{"contract.md", "PL", plugin_cases()},
          {"contract/executor.md", "EX", executor_cases()},
          {"contract/communicator.md", "CM", communicator_cases()},
          {"contract/load_balancer.md", "LB", balancer_cases()},
          {"contract/device.md", "DV", device_cases()}};
}

const std::filesystem::path plugin_docs = WEFT_SOURCE_DIR "/docs/plugins";

// The numbers of a page's rules, in its order.
std::vector<std::string> rules_of(const std::string& file) {
  std::ifstream page(plugin_docs / file);
  EXPECT_TRUE(page) << file << " cannot be read";
  const std::regex rule(R"(^\*\*([A-Z]{2}-[0-9]+)\*\* \S.*)");
  std::vector<std::string> rules;
  std::smatch found;
  for (std::string line; std::getline(page, line);)
    if (std::regex_match(line, found, rule)) rules.push_back(found[1]);
  return rules;
}

TEST(Contract, EveryRuleHasACaseAndEveryCaseARuleOnThePageOfItsKind) {
  for (const Page& page : pages()) {
    std::set<std::string> rules;
    for (const std::string& id : rules_of(page.file)) {
      EXPECT_TRUE(rules.insert(id).second) << page.file << ": two rules are called " << id;
      EXPECT_TRUE(id.starts_with(page.prefix)) << page.file << ": " << id << " belongs on another page";
    }
    const std::set<std::string> cases = ids_of(page.cases);
    for (const std::string& id : rules)
      EXPECT_TRUE(cases.contains(id)) << page.file << ": rule " << id << " has no case";
    for (const std::string& id : cases)
      EXPECT_TRUE(rules.contains(id)) << "case " << id << " has no line '**" << id << "** ...' in " << page.file;
  }
}

TEST(Contract, NamesEachOfItsPagesAndHasNoOthers) {
  std::set<std::string> known;
  for (const Page& page : pages())
    known.insert(page.file);
  for (const auto& entry : std::filesystem::directory_iterator(plugin_docs / "contract"))
    EXPECT_TRUE(known.contains("contract/" + entry.path().filename().string())) << entry.path() << ": no kind's page";
  std::ifstream file(plugin_docs / "contract.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const Page& page : pages())
    EXPECT_THAT(text, ::testing::HasSubstr(fmt::format("| {} | ", page.prefix))) << "no row for " << page.file;
}

// What a plugin's page says of each case: "| PL-01 | PASS | the rule |".
std::map<std::string, std::string> outcomes_on(const std::filesystem::path& path) {
  std::ifstream page(path);
  const std::regex row(R"(^\| ([A-Z]{2}-[0-9]+) \| ([A-Z]+) \| .*)");
  std::map<std::string, std::string> outcomes;
  std::smatch found;
  for (std::string line; std::getline(page, line);)
    if (std::regex_match(line, found, row)) outcomes[found[1]] = found[2];
  return outcomes;
}

TEST(Contract, PagesOfShippedPluginsSayHowEachRuleCameOut) {
  const std::regex name(R"(([a-z_]+)-[a-z0-9_]+\.md)");
  int pages = 0;
  for (const auto& entry : std::filesystem::directory_iterator(plugin_docs)) {
    std::smatch kind;
    const std::string file = entry.path().filename();
    if (!std::regex_match(file, kind, name)) continue;
    ++pages;
    const std::map<std::string, std::string> outcomes = outcomes_on(entry.path());
    for (const Case& one : cases_for(kind[1].str())) {
      if (one.level == Level::soak) continue;
      const auto found = outcomes.find(one.id);
      ASSERT_NE(found, outcomes.end()) << file << " has no row for " << one.id << ": run ./dev docs --conformance";
      EXPECT_THAT(found->second, ::testing::AnyOf("PASS", "SKIP", "XFAIL")) << file << ": " << one.id;
    }
  }
  EXPECT_GE(pages, 7);
}

TEST(Contract, CasesAreWhole) {
  std::set<std::string> ids;
  for (const Case& one : every_case()) {
    EXPECT_TRUE(ids.insert(one.id).second) << "two cases are called " << one.id;
    EXPECT_TRUE(std::regex_match(one.id, std::regex("(PL|EX|CM|LB|DV)-[0-9]+"))) << one.id;
    EXPECT_STRNE(one.title, "") << one.id;
    EXPECT_STRNE(one.rationale, "") << one.id;
    EXPECT_TRUE(std::filesystem::exists(lists / fmt::format("v{}.txt", one.since)))
        << one.id << " is of version '" << one.since << "', which has no list in mustpass/";
    EXPECT_NE(one.body, nullptr) << one.id;
    EXPECT_TRUE(std::regex_match(one.needs, std::regex(R"(((cap:[a-z_]+|fixture:[a-z_]+(=[0-9]+)?) ?)*)")))
        << one.needs;
    const std::string needs = one.needs;
    const std::regex fixture("fixture:([a-z_]+)");
    for (std::sregex_iterator found(needs.begin(), needs.end(), fixture), end; found != end; ++found)
      EXPECT_NE(find_declaration(fixture_declarations, (*found)[1].str()), nullptr)
          << one.id << " needs " << found->str() << ", which is not in profile_keys.h";
  }
}

// What a list of a version holds: level must of the suite as it was then.
TEST(MustPass, AListHoldsEveryMustCaseOfItsVersionAndOfThoseBeforeOnceAndNothingElse) {
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(lists)) {
    if (entry.path().extension() != ".txt") continue;
    ++found;
    const auto list = load_mustpass(entry.path());
    ASSERT_TRUE(list) << list.error().message;
    std::set<std::string> listed;
    for (const std::string& id : list->ids)
      EXPECT_TRUE(listed.insert(id).second) << id << " stands twice in " << entry.path();
    std::set<std::string> must;
    for (const Case& one : every_case())
      if (one.level == Level::must && std::stoi(one.since) <= std::stoi(list->version)) must.insert(one.id);
    EXPECT_EQ(listed, must) << "a new rule's case has `since` the next version, and that version's list has its id";
  }
  EXPECT_EQ(found, std::stoi(std::string(suite_version))) << "a list for each version of the suite";
}

TEST(MustPass, EveryListIsAsItWasRecorded) {
  std::ifstream sums(lists / "SHA256SUMS");
  ASSERT_TRUE(sums) << "mustpass/README.md says how it is written";
  std::set<std::string> recorded;
  for (std::string digest, name; sums >> digest >> name;) {
    recorded.insert(name);
    const auto list = load_mustpass(lists / name);
    EXPECT_TRUE(list) << list.error().message;
  }
  for (const auto& entry : std::filesystem::directory_iterator(lists))
    if (entry.path().extension() == ".txt") {
      EXPECT_TRUE(recorded.contains(entry.path().filename())) << entry.path() << " is not in SHA256SUMS";
    }
}

TEST(MustPass, AnEditedListIsRefusedWithWhatToDo) {
  const test::TemporaryDirectory directory;
  const std::string list = directory.write("v1.txt", "PL-01\n");
  const auto unrecorded = load_mustpass(list);
  ASSERT_TRUE(unrecorded) << "a list of one's own";
  directory.write("SHA256SUMS", unrecorded->sha256 + "  v1.txt\n" + std::string(64, '0') + "  v2.txt\n");
  EXPECT_TRUE(load_mustpass(list));
  directory.write("v1.txt", "PL-01\nPL-02\n");
  const auto edited = load_mustpass(list);
  ASSERT_FALSE(edited);
  EXPECT_EQ(edited.error().code, ErrorCode::refused);
  EXPECT_THAT(edited.error().message, ::testing::HasSubstr("not the frozen list"));
  EXPECT_THAT(edited.error().message, ::testing::HasSubstr("has " + unrecorded->sha256 + " for it"));
  EXPECT_THAT(edited.error().message, ::testing::HasSubstr("next version"));
  const auto unnamed = load_mustpass(directory.write("v3.txt", "PL-01\n"));
  ASSERT_FALSE(unnamed);
  EXPECT_THAT(unnamed.error().message, ::testing::HasSubstr("does not name it"));
}

TEST(MustPass, TheDigestIsTheOneOfSha256sum) {
  const test::TemporaryDirectory directory;  // the example of FIPS 180-2, appendix B.1
  EXPECT_EQ(load_mustpass(directory.write("v1.txt", "abc"))->sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
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
