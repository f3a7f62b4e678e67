// docs/plugins/README.md names every stage, in order, and every capability that the host knows.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "core/plugin/kinds.h"
#include "core/plugin/stage.h"

namespace weft {
namespace {

std::string page() {
  std::ifstream file(WEFT_SOURCE_DIR "/docs/plugins/README.md");
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(PluginsPage, NamesEveryStageInOrder) {
  const std::string text = page();
  std::size_t at = text.find("## The stages");
  ASSERT_NE(at, std::string::npos);
  for (int stage = 0; stage < stage_count; ++stage) {
    const std::string row = fmt::format("\n| {} |", to_string(static_cast<Stage>(stage)));
    at = text.find(row, at);
    ASSERT_NE(at, std::string::npos) << "no row, or not in its place:" << row;
  }
}

TEST(PluginsPage, NamesEveryKindAndCapability) {
  const std::string text = page();
  for (const PluginKind& kind : plugin_kinds()) {
    EXPECT_NE(text.find("| `" + kind.name + "` |"), std::string::npos) << kind.name;
    for (const std::string& capability : kind.capabilities)
      EXPECT_NE(text.find(capability), std::string::npos) << kind.name << ": " << capability;
  }
}

}  // namespace
}  // namespace weft
