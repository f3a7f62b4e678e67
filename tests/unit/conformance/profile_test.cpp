#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/conformance/harness/profile.h"
#include "tests/support/temporary_directory.h"

namespace weft::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Profile, EveryTableIsRead) {
  const test::TemporaryDirectory directory;
  const auto profile = load_profile(directory.write("p.toml", R"(
[plugin]
kind = "executor"
[config]
command = ["ip", "netns", "exec", "{node}"]
depth = 3
[fixtures]
nodes = ["left", "right"]
strays = false
[limits]
time_scale = 2.5
[setup]
command = ["./up", "now"]
[teardown]
command = ["./down"]
[[waiver]]
case = "EX-12"
reason = "no cgroups"
link = "https://example.org/1"
expires = 2027-01-31
)"),
                                    "executor");
  ASSERT_TRUE(profile) << profile.error().message;
  EXPECT_EQ(profile->kind, "executor");
  EXPECT_EQ(profile->config.at("command"), R"(["ip", "netns", "exec", "{node}"])");
  EXPECT_EQ(profile->config.at("depth"), "3");
  ASSERT_NE(profile->fixture("nodes"), nullptr);
  EXPECT_THAT(*profile->fixture("nodes"), ElementsAre("left", "right"));
  EXPECT_EQ(profile->fixture("strays"), nullptr) << "false is as good as nothing";
  EXPECT_EQ(profile->limit("time_scale"), 2.5);
  EXPECT_EQ(profile->limit("ranks"), 64);
  EXPECT_THAT(profile->setup, ElementsAre("./up", "now"));
  EXPECT_THAT(profile->teardown, ElementsAre("./down"));
  ASSERT_EQ(profile->waivers.size(), 1u);
  EXPECT_EQ(profile->waivers[0].expires, "2027-01-31");
}

TEST(Profile, EveryMistakeIsSaidAtOnceWithItsPlace) {
  const test::TemporaryDirectory directory;
  const auto profile = load_profile(directory.write("p.toml", R"([fixture]
nodes = []
[limits]
ranks = 0
[setup]
command = "up"
[[waiver]]
case = "EX-12"
reason = "no date and no link"
)"),
                                    "executor");
  ASSERT_FALSE(profile);
  EXPECT_EQ(profile.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(profile.error().message, HasSubstr("p.toml:1:1: unknown table [fixture]; did you mean 'fixtures'?"));
  EXPECT_THAT(profile.error().message, HasSubstr("p.toml:4:9: [limits] ranks: integer 0, expected a number over 0"));
  EXPECT_THAT(profile.error().message, HasSubstr("p.toml:6:11: [setup] command: string 'up', expected a list"));
  EXPECT_THAT(profile.error().message, HasSubstr("[[waiver]] needs case, reason, link and expires"));
}

TEST(Profile, AKeyThatNoCaseAsksForIsRefusedAndTheNearestNamed) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.write("p.toml", R"([limits]
spreads = 3
ranks = 2
[fixtures]
hear_stats = "yes"
nodes = ["left"]
)");
  const auto balancer = load_profile(path, "load_balancer");
  ASSERT_FALSE(balancer);
  EXPECT_EQ(balancer.error().code, ErrorCode::invalid_argument);
  const std::string& said = balancer.error().message;
  EXPECT_THAT(said, HasSubstr("p.toml:2:11: [limits] unknown key 'spreads'; did you mean 'spread'?; "
                              "there are time_scale, spread, makespan_bound"));
  EXPECT_THAT(said, HasSubstr("p.toml:3:9: [limits] 'ranks' is a key of executors, and this is for a load_balancer; "
                              "there are time_scale, spread, makespan_bound"));
  EXPECT_THAT(said,
              HasSubstr("p.toml:5:14: [fixtures] unknown key 'hear_stats'; did you mean 'hears_stats'?; there are "));
  EXPECT_THAT(said, HasSubstr("p.toml:6:9: [fixtures] 'nodes' is a key of executors"));
  const auto device = load_profile(path, "device");
  ASSERT_FALSE(device);
  EXPECT_THAT(device.error().message, HasSubstr("[fixtures] unknown key 'hear_stats'; there are none"));
}

TEST(Profile, TheKindThatAProfileNamesDecidesWhatItMayHold) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.write("p.toml", "[plugin]\nkind = \"executor\"\n[limits]\nranks = 2\n");
  EXPECT_TRUE(load_profile(path, "load_balancer")) << "that it is the wrong profile is said elsewhere";
  EXPECT_TRUE(load_profile(path, ""));
}

TEST(Profile, AFileThatIsNotThereAndASyntaxErrorAreSaid) {
  const test::TemporaryDirectory directory;
  EXPECT_EQ(load_profile(directory.file("none.toml"), "").error().code, ErrorCode::not_found);
  const auto broken = load_profile(directory.write("p.toml", "[plugin\n"), "");
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().message, HasSubstr("p.toml:1:"));
}

}  // namespace
}  // namespace weft::conformance
