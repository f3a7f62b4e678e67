// `weft run` with a plugin that passes every check and is at fault once it is at work: the plugin is named, and the run
// ends, or goes on, as documented.
#include <csignal>

#include "tests/integration/run/run_test.h"

namespace weft::test {
namespace {

class Faults : public RunTest {
 protected:
  static std::string table(const std::string& name, const std::string& kind) {
    return "[" + name + "]\npath = \"" SPREAD_PLUGINS "/libweft-" + kind + "-faulty.so\"\n";
  }
  // Five requests, one at a time, so that the first is answered before the balancer's fault.
  Child start_with(const std::string& more, std::vector<std::string> set = {}) {
    write_config(more);
    std::vector<Json> chats;
    for (int i = 0; i < 5; ++i)
      chats.push_back(long_chat("chat-" + std::to_string(i), 2));
    write_requests(chats);
    set.insert(set.end(), {"engine.max_requests=1", "batch.window=1"});
    return start({.set = std::move(set)});
  }
  Child start_with_balancer(const std::string& fault) {
    return start_with(table("balancer", "load_balancer") + "[balancer.config]\nfault = \"" + fault + "\"\n");
  }
  Child start_with_executor(const std::string& fault) {
    return start_with(table("executor", "executor") + "[executor.config]\nfault = \"" + fault + "\"\n");
  }
  // Of a head that ended by force: they die with it.
  void expect_workers_end() const {
    for (const pid_t worker : processes()) {
      const Descriptor alive = open_pidfd(worker);
      EXPECT_TRUE(alive.get() < 0 || wait_readable(alive, Deadline::in(patience))) << "an orphan";
    }
  }
};

TEST_F(Faults, APickThatThrowsEndsTheRunWithAnErrorThatNamesThePlugin) {
  Child child = start_with_balancer("pick_throws");
  EXPECT_EQ(child.wait(), 1) << child.err();
  EXPECT_THAT(child.err(),
              HasSubstr("balancer: plugin load_balancer/faulty: pick threw an exception: the third is one too many"));
  EXPECT_EQ(results().size(), 2U);
}

TEST_F(Faults, AnObserveThatThrowsIsNamedOnceAndTheRunGoesOn) {
  Child child = start_with_balancer("observe_throws");
  EXPECT_EQ(child.wait(), 0) << child.err();
  const std::string line = "plugin load_balancer/faulty: observe threw an exception: the third is one too many";
  EXPECT_THAT(child.err(), HasSubstr(line));
  EXPECT_EQ(child.err().find(line), child.err().rfind(line)) << child.err();
  EXPECT_EQ(results().size(), 5U);
}

TEST_F(Faults, APickThatEndsTheProcessIsNamedAndTheRunHasFailed) {
  Child child = start_with_balancer("pick_exits");
  EXPECT_EQ(child.wait(), 4) << child.err();
  EXPECT_THAT(child.err(),
              HasSubstr("error: the process was ended by plugin load_balancer/faulty in pick, which called exit()"));
  EXPECT_GE(results().size(), 1U);
  expect_workers_end();
}

// Two signals of different kinds: the second of the same might come before the first was taken, and be lost.
TEST_F(Faults, APickThatHangsIsEndedByTheSecondSignalAndNamed) {
  Child child = start_with_balancer("pick_hangs");
  ASSERT_TRUE(child.wait_for("faulty: it hangs")) << child.err();
  child.signal(SIGINT);
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(), 130) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("error: ended by force: plugin load_balancer/faulty has been in pick for "));
  EXPECT_GE(results().size(), 1U);
  expect_workers_end();
}

TEST_F(Faults, AnExecutorThatThrowsIsNamedAndNothingWasStarted) {
  Child inventory = start_with_executor("inventory_throws");
  EXPECT_EQ(inventory.wait(), 5) << inventory.err();
  EXPECT_THAT(inventory.err(), HasSubstr("plugin executor/faulty: inventory threw an exception: it lost its list"));
  Child launch = start_with_executor("launch_throws");
  EXPECT_EQ(launch.wait(), 5) << launch.err();
  EXPECT_THAT(launch.err(), HasSubstr("plugin executor/faulty: launch threw an exception: it lost its list"));
}

TEST_F(Faults, AnInventoryThatEndsTheProcessIsNamedAndTheCommandHasFailed) {
  Child child = start_with_executor("inventory_exits");
  EXPECT_EQ(child.wait(), 4) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("ended by plugin executor/faulty in inventory, which called exit()"));
}

TEST_F(Faults, AnExceptionThatNobodyCatchesOnAPluginsOwnThreadNamesThePlugin) {
  Child child = start_with_executor("thread_throws");
  EXPECT_EQ(child.wait(), 128 + SIGABRT) << child.err();
  EXPECT_THAT(child.err(), AllOf(HasSubstr("what():  its thread lost its list"),
                                 HasSubstr("weft: the process crashed in plugin executor/faulty: SIGABRT (abort)\n")));
}

TEST_F(Faults, AnInventoryThatAbortsIsNamed) {
  Child child = start_with_executor("inventory_aborts");
  EXPECT_EQ(child.wait(), 128 + SIGABRT) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("weft: the process crashed in plugin executor/faulty: SIGABRT (abort)\n"));
}

// Nothing in the process hears of it: the code is all there is, as docs/plugins says.
TEST_F(Faults, WhatCallsUnderscoreExitIsTheProcesssEnd) {
  Child child = start_with_executor("inventory_ends");
  EXPECT_EQ(child.wait(), 77) << child.err();
}

TEST_F(Faults, AnInventoryThatHangsIsEndedByTheFirstSignal) {
  Child child = start_with_executor("inventory_hangs");
  ASSERT_TRUE(child.wait_for("faulty: it hangs")) << child.err();
  child.signal(SIGINT);
  EXPECT_EQ(child.wait(), 130) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("interrupted while starting: nothing was done"));
}

TEST_F(Faults, ALaunchThatHangsIsEndedByTheSecondSignalAndNamed) {
  Child child = start_with_executor("launch_hangs");
  ASSERT_TRUE(child.wait_for("faulty: it hangs")) << child.err();
  child.signal(SIGINT);
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(), 130) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("error: ended by force: plugin executor/faulty has been in launch for "));
}

TEST_F(Faults, WhatAWorkersPluginThrowsIsThatRanksErrorAndNamesItsPlugins) {
  Child child = start_with(table("communicator", "communicator"), {"parallel.tensor=2"});
  EXPECT_EQ(child.wait(), 5) << child.err();
  EXPECT_THAT(child.err(), AllOf(HasSubstr("rank "), HasSubstr("a plugin of this rank ("),
                                 HasSubstr("communicator/faulty"), HasSubstr("threw an exception: it lost its list")));
}

}  // namespace
}  // namespace weft::test
