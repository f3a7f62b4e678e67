#include "core/plugin/search_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "core/plugin/plugin_host.h"
#include "tests/unit/plugin/temp_directory.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using weft::testing::TempDirectory;

// Sets WEFT_PLUGIN_PATH for one test; each runs in a process of its own under ctest.
class PluginSearch : public ::testing::Test {
 protected:
  void TearDown() override { ::unsetenv("WEFT_PLUGIN_PATH"); }
  static void set_path(const std::string& value) { ::setenv("WEFT_PLUGIN_PATH", value.c_str(), 1); }
};

TEST_F(PluginSearch, LooksInPluginDirsThenTheEnvironmentThenThePrefix) {
  set_path("/opt/b:/opt/c/");
  const SearchPath path = SearchPath::standard({"/opt/a", "/opt/c"});
  ASSERT_EQ(path.directories.size(), 4u);
  EXPECT_EQ(path.directories[0].path, "/opt/a");
  EXPECT_EQ(path.directories[0].origin, "--plugin-dir");
  EXPECT_EQ(path.directories[1].path, "/opt/c");
  EXPECT_EQ(path.directories[2].path, "/opt/b");
  EXPECT_EQ(path.directories[2].origin, "WEFT_PLUGIN_PATH");
  EXPECT_EQ(path.directories[3].path, WEFT_BUILD_DIR "/lib/weft/plugins");
}

TEST_F(PluginSearch, NeverLooksInTheCurrentDirectory) {
  set_path(":.:relative:");
  const SearchPath path = SearchPath::standard({});
  ASSERT_EQ(path.directories.size(), 1u);
  ASSERT_EQ(path.warnings.size(), 2u);
  EXPECT_THAT(path.warnings[0], HasSubstr("'.' is left out"));
  const TempDirectory directory;
  directory.fixture("good");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  PluginHost host({.search_path = path});
  const auto loaded = host.load({.kind = "load_balancer", .name = "good"});
  std::filesystem::current_path(before);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::not_found);
}

TEST_F(PluginSearch, TakesTheFirstFileOfThatNameAndDoesNotFallThroughABrokenOne) {
  const TempDirectory first;
  const TempDirectory second;
  first.write("libweft-load_balancer-good.so", "text");
  second.fixture("good");
  PluginHost host({.search_path = SearchPath::standard({first.path().string(), second.path().string()})});
  const auto loaded = host.load({.kind = "load_balancer", .name = "good"});
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr(first.path().string()));
}

TEST_F(PluginSearch, PrefersAnExplicitPath) {
  const TempDirectory first;
  const TempDirectory second;
  first.fixture("good");
  const std::string wanted = second.fixture("good");
  PluginHost host({.search_path = SearchPath::standard({first.path().string()})});
  const auto loaded = host.load({.kind = "load_balancer", .name = "good", .path = wanted});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ((*loaded)->info.file, wanted);
}

}  // namespace
}  // namespace weft
