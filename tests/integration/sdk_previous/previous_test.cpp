// Plugins of the frozen SDK in today's `weft`, and today's headers beside the frozen ones.
#include <algorithm>

#include "core/plugin/host_services.h"
#include "core/plugin/plugin_host.h"
#include "tests/integration/run/run_test.h"
#include "weft/executor.h"
#include "weft/executor_log_tail.h"

namespace weft::test {
namespace {

struct Layout {
  std::map<std::string, int> versions;                    // by kind
  std::map<std::string, std::vector<std::string>> facts;  // by kind, in order
};

Layout layout_of(const std::string& program) {
  Child child({.argv = {std::string(PREVIOUS) + "/" + program}, .env = {}, .directory = {}});
  EXPECT_EQ(child.wait(), 0) << child.err();
  Layout layout;
  std::istringstream lines(child.out());
  for (std::string line; std::getline(lines, line);) {
    const std::string kind = line.substr(0, line.find('\t'));
    const std::string fact = line.substr(line.find('\t') + 1);
    if (kind == "version")
      layout.versions[fact.substr(0, fact.find(' '))] = std::stoi(fact.substr(fact.find(' ')));
    else
      layout.facts[kind].push_back(fact);
  }
  return layout;
}

// The lines of one side that the other lacks.
std::string only_in(std::vector<std::string> one, std::vector<std::string> other) {
  std::sort(one.begin(), one.end());
  std::sort(other.begin(), other.end());
  std::vector<std::string> lines;
  std::set_difference(one.begin(), one.end(), other.begin(), other.end(), std::back_inserter(lines));
  std::string text;
  for (const std::string& line : lines)
    text += "    " + line + "\n";
  return text;
}

TEST(SdkPrevious, WhatCompiledPluginsTakeForGrantedChangesWithItsVersionOnly) {
  const Layout previous = layout_of("weft_layout_previous");
  const Layout present = layout_of("weft_layout_present");
  ASSERT_EQ(previous.versions.size(), 5u);  // four kinds, and the descriptor that all have
  for (const auto& [kind, version] : previous.versions) {
    const auto& before = previous.facts.at(kind);
    const auto& now = present.facts.at(kind);
    EXPECT_GT(before.size(), 15u) << kind;
    if (before == now)
      EXPECT_EQ(present.versions.at(kind), version)
          << kind << ": a new version of what has not changed turns plugins away for nothing";
    else
      EXPECT_GT(present.versions.at(kind), version)
          << kind << ": plugins that are already compiled would be loaded and misread memory. Put it back and add an "
          << "interface behind query() instead (weft/executor_log_tail.h shows how), or raise the version openly and "
          << "freeze anew (tests/integration/sdk_previous/README.md).\n  before:\n"
          << only_in(before, now) << "  now:\n"
          << only_in(now, before);
  }
}

// CMakeLists.txt makes the edits.
TEST(SdkPrevious, AnEditThatCompiledPluginsWouldMisreadIsSeen) {
  const Layout previous = layout_of("weft_layout_previous");
  const Layout edited = layout_of("weft_layout_edited");
  const auto changes = [&](const std::string& kind) { return only_in(edited.facts.at(kind), previous.facts.at(kind)); };
  EXPECT_EQ(changes("abi"), "");
  EXPECT_THAT(changes("executor"),
              AllOf(HasSubstr("GangSpec: has 4 fields"), HasSubstr("Executor: its table has 8 entries"),
                    HasSubstr("Executor::query is entry 7")));
  EXPECT_THAT(changes("communicator"), AllOf(HasSubstr("Group::size is entry 2"), HasSubstr("Group::rank is entry 3")));
  EXPECT_THAT(changes("load_balancer"), HasSubstr("ReplicaView::waiting at "));
  EXPECT_THAT(changes("device"),
              AllOf(HasSubstr("LinearArgs::Epilogue::gate = 3"), HasSubstr("Device::gather_rows is entry ")));
}

TEST(SdkPrevious, EveryFieldIsListed) {
  for (const char* program : {"weft_layout_previous", "weft_layout_present"})
    for (const auto& [kind, facts] : layout_of(program).facts)
      for (const std::string& fact : facts)
        EXPECT_THAT(fact, Not(HasSubstr("layout.cpp lists"))) << program;
}

TEST(SdkPrevious, ItsExecutorLoadsAndDoesNotKnowTheNewInterface) {
  PluginHost host({.search_path = {.directories = {{.path = PREVIOUS, .origin = "the test"}}}});
  const auto plugin = host.load({.kind = "executor", .name = "previous"});
  ASSERT_TRUE(plugin) << plugin.error().message;
  PluginHostServices services({.plugin = "executor/previous"});
  auto executor = create_plugin<Executor>(**plugin, {}, services);
  ASSERT_TRUE(executor) << executor.error().message;
  EXPECT_EQ((*executor)->query(ExecutorLogTail::interface_id), nullptr);
}

class SdkPreviousPlugins : public RunTest {};

TEST_F(SdkPreviousPlugins, HoldTheSuitesRulesForAllPlugins) {
  for (const char* name : {"executor-previous", "load_balancer-previous"}) {
    Child child({.argv = {WEFT_CONFORMANCE_PROGRAM, "--plugin", std::string(PREVIOUS) + "/libweft-" + name + ".so",
                          "--filter", "PL-*", "--jobs", "2", "--seed", "1", "--time-scale", sanitized ? "5" : "1"},
                 .env = {},
                 .directory = directory_.path()});
    EXPECT_EQ(child.wait(), 0) << child.out() << child.err();
  }
}

TEST_F(SdkPreviousPlugins, AnswerABatch) {
  write_config("[executor]\nplugin = \"previous\"\npath = \"" PREVIOUS
               "/libweft-executor-previous.so\"\n"
               "[balancer]\nplugin = \"previous\"\npath = \"" PREVIOUS "/libweft-load_balancer-previous.so\"\n");
  write_requests({golden_chat(0), golden_chat(1)});
  const Ended ended = run({.set = {"parallel.data=2", "log.level=debug"}});
  EXPECT_EQ(ended.code, 0) << ended.err;
  const auto all = answers();
  ASSERT_EQ(all.size(), 2u);
  for (std::size_t i : {0u, 1u})
    EXPECT_EQ(all.at("chat-" + std::to_string(i))["response"]["body"]["choices"][0]["token_ids"],
              golden_cases()[i]["ids"]);
}

TEST_F(SdkPreviousPlugins, LeaveTheLogOfALostRankToItsFile) {
  let_no_sanitizer_explain_crashes();
  write_config("[executor]\nplugin = \"previous\"\npath = \"" PREVIOUS
               "/libweft-executor-previous.so\"\n"
               "[communicator]\nplugin = \"crashes_in_a_worker\"\npath = \"" FIXTURES
               "/libweft-communicator-crashes_in_a_worker.so\"\n");
  write_requests({golden_chat(0)});
  const Ended ended = run();
  EXPECT_EQ(ended.code, 5) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("last lines of "), HasSubstr("the process crashed in it: SIGSEGV")));
}

}  // namespace
}  // namespace weft::test
