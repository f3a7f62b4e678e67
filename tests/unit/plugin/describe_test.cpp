// What people and programs read of a plugin.
#include "core/plugin/describe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/plugin/kinds.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class PluginDescription : public ::testing::Test {
 protected:
  PluginDescription() {
    plugin_.file = "/dir/libweft-load_balancer-mine.so";
    plugin_.origin = "--plugin-dir";
    plugin_.info.kind = "load_balancer";
    plugin_.info.name = "mine";
    plugin_.info.version = "1.2.3";
    plugin_.info.summary = "one | two";
    plugin_.info.capabilities = {"prefix_affinity", "x-own"};
    const OptionSpec spec{"mode", OptionSpec::Type::string, "\"a\"", "a|b", "Which of both."};
    plugin_.info.options = {*check_declaration(spec)};
    plugin_.create_untried = "not asked for";
  }
  void refuse(Stage stage) {
    plugin_.refusal = Refusal{stage, {ErrorCode::refused, "/dir/x.so: broken\nin two lines"}};
  }
  std::string outcomes() const {
    std::string letters;
    for (const StageOutcome& each : stage_outcomes(plugin_))
      letters += each.outcome == "not tried" ? 't' : each.outcome.front();
    return letters;
  }

  DiscoveredPlugin plugin_;
};

TEST_F(PluginDescription, GivesEachStageAnOutcome) {
  ASSERT_EQ(stage_outcomes(plugin_).size(), static_cast<std::size_t>(stage_count));
  EXPECT_EQ(outcomes(), "ppppppppppppt");
  plugin_.created = true;
  EXPECT_EQ(outcomes(), "ppppppppppppp");
  refuse(Stage::abi);
  EXPECT_EQ(outcomes(), "ppppfnnnnnnnn");
  refuse(Stage::file_policy);
  EXPECT_EQ(outcomes(), "fnnnnnnnnnnnn");
  refuse(Stage::create);
  EXPECT_EQ(outcomes(), "ppppppppppppf");
  plugin_.refusal->stage.reset();  // there was no process to check it in
  EXPECT_EQ(outcomes(), "nnnnnnnnnnnnn");
}

TEST_F(PluginDescription, NamesAPluginByItsFile) {
  EXPECT_EQ(id_of_file("/a/libweft-executor-mp.so"), "executor/mp");
  EXPECT_EQ(id_of_file("libweft-load_balancer-least_loaded.so"), "load_balancer/least_loaded");
  for (const char* misnamed : {"libweft-x.so", "libweft-.so", "libweft-executor-.so", "libweft--mp.so"})
    EXPECT_EQ(id_of_file(std::string("/a/") + misnamed), misnamed);
  EXPECT_EQ(id_of_file("notes.txt"), "notes.txt");
}

TEST_F(PluginDescription, SaysWhichCapabilitiesAreProvidedAndWhichAreLacked) {
  EXPECT_THAT(lacked_capabilities(plugin_.info), ElementsAre("session_affinity"));
  EXPECT_THAT(plugin_text(plugin_), AllOf(HasSubstr("provided      prefix_affinity, x-own\n"),
                                          HasSubstr("lacked        session_affinity\n")));
  EXPECT_THAT(capabilities_markdown(plugin_.info),
              AllOf(HasSubstr("| `prefix_affinity` | yes |\n"), HasSubstr("| `session_affinity` | no |\n")));
  plugin_.info.kind.clear();  // refused before the descriptor was read
  EXPECT_THAT(lacked_capabilities(plugin_.info), ElementsAre());
}

TEST_F(PluginDescription, KeepsEachPluginOnOneLine) {
  plugin_.info.summary = "two\nlines and \x1b[31m a colour";
  const std::string text = plugins_text(std::vector{plugin_, plugin_});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  refuse(Stage::probe);
  EXPECT_THAT(plugins_text(std::vector{plugin_}),
              HasSubstr("load_balancer/mine  1.2.3  refused: probe  /dir/x.so: broken in two lines\n"));
  EXPECT_THAT(plugin_text(plugin_),
              AllOf(HasSubstr("  probe         failed\n"), HasSubstr("  create        not reached\n")));
}

TEST_F(PluginDescription, InMarkdownEscapesTheBarsOfTables) {
  EXPECT_THAT(plugins_markdown(std::vector{plugin_}),
              HasSubstr("| `load_balancer/mine` | 1.2.3 | usable | one \\| two |\n"));
  EXPECT_THAT(options_markdown(plugin_.info), HasSubstr("| `mode` | string | a\\|b | `\"a\"` | Which of both. |\n"));
  EXPECT_THAT(plugin_markdown(plugin_), AllOf(HasSubstr("# load_balancer/mine\n"),
                                              HasSubstr("| create | not tried |\n"), HasSubstr("## Options\n")));
}

TEST_F(PluginDescription, InJsonHoldsTheSame) {
  plugin_.created = true;
  plugin_.create_untried.clear();
  nlohmann::ordered_json json = plugin_json(plugin_);
  EXPECT_EQ(json["id"], "load_balancer/mine");
  EXPECT_EQ(json["stages"].back(), (nlohmann::ordered_json{{"stage", "create"}, {"outcome", "passed"}}));
  EXPECT_EQ(json["capabilities_lacked"], nlohmann::ordered_json::array({"session_affinity"}));
  EXPECT_EQ(json["options"][0]["range"], "a|b");
  EXPECT_TRUE(json["usable"].get<bool>());
  refuse(Stage::runtime);
  json = plugins_json(std::vector{plugin_})[0];
  EXPECT_EQ(json["refused_at"], "runtime");
  EXPECT_FALSE(json["usable"].get<bool>());
}

}  // namespace
}  // namespace weft
