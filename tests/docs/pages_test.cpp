// What is generated is generated, and what people wrote stays.
#include "tests/docs/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/config/config.h"
#include "tests/support/temporary_directory.h"

namespace weft::docs {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

PluginInfo plugin(const std::string& name, const std::string& summary) {
  PluginInfo info;
  info.kind = "load_balancer";
  info.name = name;
  info.version = "1.2.3";
  info.summary = summary;
  info.capabilities = {"session_affinity"};
  info.options = {*check_declaration({"mode", OptionSpec::Type::string, "\"a\"", "a|b", "Which of both."}),
                  *check_declaration({"limit", OptionSpec::Type::integer, nullptr, "1..64", "How many."})};
  return info;
}

// A page with a section for each table of weft.toml but the one named.
std::string configuration(const std::string& but = "") {
  std::string text = "# By hand\n";
  std::string_view last;
  for (const ConfigField& field : config_fields()) {
    if (field.table != last && field.table != but)
      text += "\nAbout it.\n<!-- keys: " + std::string(field.table) + " -->\nold\n<!-- /keys -->\n";
    last = field.table;
  }
  return text;
}

TEST(DocsPages, TheConfigurationHasTheKeysOfEachTableBetweenItsMarks) {
  const auto page = configuration_page(configuration(), {plugin("mine", "gives turns")});
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_THAT(*page, AllOf(HasSubstr("# By hand\n"), HasSubstr("About it.\n"), Not(HasSubstr("\nold\n"))));
  EXPECT_THAT(*page, HasSubstr("| `path` | string |  | required | Hugging Face directory"));
  EXPECT_THAT(*page, HasSubstr("| `data` | integer | 1..4096 | `1` | Copies of the model (DP). |"));
  EXPECT_THAT(*page, HasSubstr("| `expert` | boolean | false | `false` |"));
  EXPECT_THAT(*page, HasSubstr("| `distribution` | string | shared \\| static | `\"shared\"` |"));
  EXPECT_THAT(*page, HasSubstr("* [`mine`](plugins/load_balancer-mine.md): Gives turns.\n"));
  EXPECT_EQ(*configuration_page(*page, {plugin("mine", "gives turns")}), *page) << "a second time changes nothing";
}

TEST(DocsPages, ThePluginsPageSaysWhatAProfileMayHold) {
  const auto page =
      plugins_page("<!-- shipped -->\n<!-- /shipped -->\nBy hand.\n<!-- profile -->\nold\n<!-- /profile -->\n",
                   {plugin("mine", "gives turns")});
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_THAT(*page, AllOf(HasSubstr("| [load_balancer/mine](load_balancer-mine.md) |"), HasSubstr("\nBy hand.\n"),
                           Not(HasSubstr("\nold\n"))));
  EXPECT_THAT(*page, HasSubstr("| `ranks` | executor | ranks | 64 | How large"));
  EXPECT_THAT(*page, HasSubstr("| `time_scale` | every | times | 1 | Each case's deadline"));
  EXPECT_THAT(*page, HasSubstr("| `nodes` | executor | a list of names, two at least |"));
}

TEST(DocsPages, ATableWithoutASectionByHandIsAnErrorThatSaysWhatToWrite) {
  const auto page = configuration_page(configuration("timeouts"), {});
  ASSERT_FALSE(page);
  EXPECT_THAT(page.error().message, AllOf(HasSubstr("<!-- keys: timeouts -->"), HasSubstr("./dev docs")));
}

TEST(DocsPages, APluginsPageKeepsItsIntroductionAndItsConformance) {
  const std::string fresh = plugin_page(plugin("mine", "gives turns"), "");
  EXPECT_TRUE(is_plugin_page(fresh));
  EXPECT_THAT(fresh, AllOf(HasSubstr("# load_balancer/mine\n\nGives turns. Version 1.2.3.\n"),
                           HasSubstr("[balancer]\nplugin = \"mine\"\n\n[balancer.config]\nmode = \"a\"\n# limit = ..."),
                           HasSubstr("| `prefix_affinity` | no |\n"),
                           HasSubstr("| `limit` | whole number | 1..64 | required |")));
  std::string edited = fresh;
  const std::string mark = "<!-- introduction -->\n";
  edited.insert(edited.find(mark) + mark.size(), "By hand.\n");
  const std::string results = "<!-- conformance -->\n";
  edited.insert(edited.find(results) + results.size(), "| LB-01 | PASS |\n");
  const std::string again = plugin_page(plugin("mine", "gives turns in order"), edited);
  EXPECT_THAT(again,
              AllOf(HasSubstr("\nBy hand.\n"), HasSubstr("| LB-01 | PASS |\n"), HasSubstr("Gives turns in order.")));
  EXPECT_EQ(plugin_page(plugin("mine", "gives turns in order"), again), again);
}

TEST(DocsPages, APageOfNoShippedPluginIsNamed) {
  const test::TemporaryDirectory directory;
  std::filesystem::create_directory(directory.file("plugins"));
  directory.write("configuration.md", configuration());
  directory.write("plugins/README.md", "<!-- shipped -->\n<!-- /shipped -->\n<!-- profile -->\n<!-- /profile -->\n");
  directory.write("plugins/load_balancer-gone.md", plugin_page(plugin("gone", "gives turns"), ""));
  const auto pages = all_pages(directory.path(), {plugin("mine", "gives turns")});
  ASSERT_FALSE(pages);
  EXPECT_THAT(pages.error().message, AllOf(HasSubstr("load_balancer-gone.md"), HasSubstr("delete it")));
  EXPECT_EQ(all_pages(directory.path(), {plugin("mine", "gives turns"), plugin("gone", "x")}).value().size(), 5u);
}

}  // namespace
}  // namespace weft::docs
