// Every file gives a row, and no file can do more than that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <map>

#include "core/plugin/plugin_host.h"
#include "tests/unit/plugin/temp_directory.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using weft::testing::TempDirectory;

std::vector<DiscoveredPlugin> discover(const std::vector<std::string>& directories,
                                       std::chrono::milliseconds limit = std::chrono::seconds(60),
                                       bool create = false) {
  SearchPath path;
  for (const std::string& directory : directories)
    path.directories.push_back({.path = directory, .origin = "the test"});
  return PluginHost({.search_path = path}).discover({.limit = limit, .create = create});
}

TEST(PluginDiscover, DescribesAGoodPluginWithoutLoadingItHere) {
  const TempDirectory directory;
  const std::string file = directory.fixture("good");
  const auto rows = discover({directory.path().string()});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_FALSE(rows[0].refusal) << rows[0].refusal->error.message;
  EXPECT_EQ(rows[0].file, file);
  EXPECT_EQ(rows[0].info.kind, "load_balancer");
  EXPECT_EQ(rows[0].info.name, "good");
  EXPECT_EQ(rows[0].info.version, "1.2.3");
  EXPECT_EQ(rows[0].info.sha256.size(), 64u);
  EXPECT_EQ(rows[0].info.capabilities, std::vector<std::string>{"x-fixture"});
  ASSERT_EQ(rows[0].info.options.size(), 1u);
  EXPECT_EQ(rows[0].info.options[0].range_text, "1..64");
  std::ifstream maps("/proc/self/maps");
  const std::string mapped((std::istreambuf_iterator<char>(maps)), {});
  EXPECT_EQ(mapped.find(file), std::string::npos);
}

TEST(PluginDiscover, MakesARowOfEachRefusal) {
  const TempDirectory directory;
  const std::map<std::string, Stage> expected{{"no_symbol", Stage::symbol},
                                              {"undefined", Stage::dlopen},
                                              {"wrong_magic", Stage::size},
                                              {"wrong_abi", Stage::abi},
                                              {"wrong_interface", Stage::interface},
                                              {"wrong_fingerprint", Stage::fingerprint},
                                              {"second_runtime", Stage::runtime},
                                              {"wrong_name", Stage::name},
                                              {"unknown_capability", Stage::capabilities},
                                              {"no_help", Stage::options},
                                              {"probe_no", Stage::probe},
                                              {"probe_throws", Stage::probe},
                                              {"probe_crashes", Stage::probe},
                                              {"probe_exits", Stage::probe},
                                              {"probe_babbles", Stage::probe}};
  for (const auto& [name, stage] : expected)
    directory.fixture(name);
  directory.write("libweft-load_balancer-text.so", "text");
  directory.write("notes.txt", "no plugin");
  const auto rows = discover({directory.path().string()});
  ASSERT_EQ(rows.size(), expected.size() + 1);
  for (const DiscoveredPlugin& row : rows) {
    const std::string stem = std::filesystem::path(row.file).stem().string();
    const std::string name = stem.substr(stem.rfind('-') + 1);
    ASSERT_TRUE(row.refusal) << row.file;
    const Stage stage = name == "text" ? Stage::symbol : expected.at(name);
    EXPECT_EQ(to_string(row.refusal->stage.value()), to_string(stage)) << row.refusal->error.message;
    EXPECT_THAT(row.refusal->error.message, HasSubstr(row.file));
  }
}

TEST(PluginDiscover, SaysHowAPluginDiedWhileItWasProbed) {
  const TempDirectory directory;
  directory.fixture("probe_crashes");
  directory.fixture("probe_exits");
  const auto rows = discover({directory.path().string()});
  ASSERT_EQ(rows.size(), 2u);
  // Under AddressSanitizer a crash becomes an exit with a report.
  EXPECT_THAT(rows[0].refusal->error.message,
              ::testing::AnyOf(HasSubstr("it crashed in this stage: signal 11"), HasSubstr("with exit code")));
  EXPECT_THAT(rows[1].refusal->error.message, HasSubstr("with exit code 7"));
}

TEST(PluginDiscover, StopsAPluginThatHangsAtItsDeadline) {
  const TempDirectory directory;
  directory.fixture("probe_hangs");
  const auto rows = discover({directory.path().string()}, std::chrono::milliseconds(1500));
  ASSERT_EQ(rows.size(), 1u);
  ASSERT_TRUE(rows[0].refusal);
  EXPECT_THAT(rows[0].refusal->error.message, HasSubstr("did not come back from this stage within its 1.5 s"));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
}

TEST(PluginDiscover, MakesAnObjectWhereItIsAskedTo) {
  const TempDirectory directory;
  for (const char* name : {"create_aborts", "create_exits", "create_fails", "good", "needs_option"})
    directory.fixture(name);
  const auto rows = discover({directory.path().string()}, std::chrono::seconds(60), true);
  ASSERT_EQ(rows.size(), 5u);
  const char* const found[] = {"", "it ended the process in this stage, with exit code 0", "no memory for it"};
  for (const std::size_t i : {0u, 1u, 2u}) {
    ASSERT_TRUE(rows[i].refusal) << rows[i].file;
    EXPECT_EQ(rows[i].refusal->stage, Stage::create);
    EXPECT_NE(rows[i].refusal->error.code, ErrorCode::refused) << "it passed every check of its file";
    EXPECT_THAT(rows[i].refusal->error.message, HasSubstr(found[i]));
    EXPECT_EQ(rows[i].info.version, "1.2.3") << "what was known before is kept";
    EXPECT_FALSE(rows[i].created);
  }
  EXPECT_FALSE(rows[3].refusal) << rows[3].refusal->error.message;
  EXPECT_TRUE(rows[3].created);
  EXPECT_FALSE(rows[4].refusal);
  EXPECT_EQ(rows[4].create_untried, "option 'limit' has no default");
  EXPECT_EQ(discover({directory.path().string()}).at(3).create_untried, "not asked for");
}

TEST(PluginDiscover, LooksAtOneFileAloneWhereItIsNamed) {
  const TempDirectory directory;
  directory.fixture("good");
  directory.fixture("probe_no");
  PluginHost host({.search_path = {.directories = {{.path = directory.path().string(), .origin = "the test"}}}});
  const auto rows = host.discover({.only = "libweft-load_balancer-probe_no.so"});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_THAT(rows[0].file, HasSubstr("probe_no"));
}

TEST(PluginDiscover, MarksTheFilesThatAnEarlierDirectoryHides) {
  const TempDirectory first;
  const TempDirectory second;
  first.fixture("good");
  second.fixture("good");
  const auto rows = discover({first.path().string(), "/there/is/no/such/directory", second.path().string()});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_FALSE(rows[0].shadowed);
  EXPECT_TRUE(rows[1].shadowed);
}

}  // namespace
}  // namespace weft
