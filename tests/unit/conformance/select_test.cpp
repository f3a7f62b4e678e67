#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/conformance/harness/select.h"

namespace weft::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<Case> some_cases = {
    {"EX-01", Level::must, "", "1", "a gang starts whole", "", nullptr},
    {"EX-02", Level::must, "cap:log_tails", "1", "a log has its tail", "", nullptr},
    {"EX-10", Level::full, "fixture:nodes=2", "1", "two nodes are told apart", "", nullptr},
};

std::vector<std::string> ids(const Result<std::vector<const Case*>>& chosen) {
  std::vector<std::string> found;
  if (!chosen) return {"error: " + chosen.error().message};
  for (const Case* one : *chosen)
    found.emplace_back(one->id);
  return found;
}

TEST(Select, ALevelIncludesThoseBeforeIt) {
  EXPECT_THAT(ids(select_cases(some_cases, {.level = Level::must, .filter = ""})), ElementsAre("EX-01", "EX-02"));
  EXPECT_THAT(ids(select_cases(some_cases, {.level = Level::full, .filter = ""})),
              ElementsAre("EX-01", "EX-02", "EX-10"));
}

TEST(Select, AnIdIsTakenWhateverItsLevelAndAGlobOnlyWithinIt) {
  EXPECT_THAT(ids(select_cases(some_cases, {.level = Level::must, .filter = "EX-10"})), ElementsAre("EX-10"));
  EXPECT_THAT(ids(select_cases(some_cases, {.level = Level::must, .filter = "EX-*"})), ElementsAre("EX-01", "EX-02"));
  EXPECT_THAT(ids(select_cases(some_cases, {.level = Level::full, .filter = "tail,EX-1?"})),
              ElementsAre("EX-02", "EX-10"));
}

TEST(Select, AFilterThatMatchesNothingIsAMistake) {
  const auto chosen = select_cases(some_cases, {.level = Level::must, .filter = "EX-01,EX-99"});
  ASSERT_FALSE(chosen);
  EXPECT_THAT(chosen.error().message, HasSubstr("EX-99"));
}

TEST(Select, AFilterWithoutAnyPartIsAMistakeAndNotAll) {
  EXPECT_THAT(ids(select_cases(some_cases, {.level = Level::must, .filter = ","})),
              ElementsAre(HasSubstr("--filter ',' names no case")));
}

TEST(Select, WhatACaseNeedsIsSaid) {
  Profile profile;
  EXPECT_EQ(unmet_need(some_cases[0], {}, profile), "");
  EXPECT_EQ(unmet_need(some_cases[1], {}, profile), "the plugin does not declare 'log_tails'");
  EXPECT_EQ(unmet_need(some_cases[1], {"log_tails"}, profile), "");
  EXPECT_EQ(unmet_need(some_cases[2], {}, profile), "the profile has no [fixtures] nodes with 2 values");
  profile.fixtures["nodes"] = {"left"};
  EXPECT_EQ(unmet_need(some_cases[2], {}, profile), "the profile has no [fixtures] nodes with 2 values");
  profile.fixtures["nodes"] = {"left", "right"};
  EXPECT_EQ(unmet_need(some_cases[2], {}, profile), "");
}

TEST(Select, AWaiverCountsUntilItExpires) {
  Profile profile;
  profile.waivers.push_back({.case_id = "EX-01", .reason = "why", .link = "where", .expires = "2027-01-31"});
  EXPECT_NE(waiver_for(profile, "EX-01", "2027-01-30"), nullptr);
  EXPECT_EQ(waiver_for(profile, "EX-01", "2027-01-31"), nullptr);
  EXPECT_EQ(waiver_for(profile, "EX-02", "2027-01-30"), nullptr);
}

}  // namespace
}  // namespace weft::conformance
