// `weft run` with a load balancer that passes every check and is at fault once the run is on: the plugin is named, and the
// run ends, or goes on, as documented.
#include <csignal>

#include "tests/integration/run/run_test.h"

namespace weft::test {
namespace {

class Faults : public RunTest {
 protected:
  // Five requests, one at a time, so that the first is answered before the fault.
  Child start_with(const std::string& fault) {
    write_config("[balancer]\npath = \"" SPREAD_PLUGINS
                 "/libweft-load_balancer-faulty.so\"\n[balancer.config]\nfault = \"" +
                 fault + "\"\n");
    std::vector<Json> chats;
    for (int i = 0; i < 5; ++i)
      chats.push_back(long_chat("chat-" + std::to_string(i), 2));
    write_requests(chats);
    return start({.set = {"engine.max_requests=1", "batch.window=1"}});
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
  Child child = start_with("pick_throws");
  EXPECT_EQ(child.wait(), 1) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("balancer: plugin load_balancer/faulty: pick threw: the third is one too many"));
  EXPECT_EQ(results().size(), 2U);
}

TEST_F(Faults, AnObserveThatThrowsIsNamedOnceAndTheRunGoesOn) {
  Child child = start_with("observe_throws");
  EXPECT_EQ(child.wait(), 0) << child.err();
  const std::string line = "plugin load_balancer/faulty: observe threw: the third is one too many";
  EXPECT_THAT(child.err(), HasSubstr(line));
  EXPECT_EQ(child.err().find(line), child.err().rfind(line)) << child.err();
  EXPECT_EQ(results().size(), 5U);
}

TEST_F(Faults, APickThatEndsTheProcessIsNamedAndTheRunHasFailed) {
  Child child = start_with("pick_exits");
  EXPECT_EQ(child.wait(), 4) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("error: the process was ended by plugin load_balancer/faulty in pick"));
  EXPECT_GE(results().size(), 1U);
  expect_workers_end();
}

// Two signals of different kinds: the second of the same might come before the first was taken, and be lost.
TEST_F(Faults, APickThatHangsIsEndedByTheSecondSignalAndNamed) {
  Child child = start_with("pick_hangs");
  ASSERT_TRUE(child.wait_for("faulty: it hangs")) << child.err();
  child.signal(SIGINT);
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(), 130) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("error: ended by force: plugin load_balancer/faulty has been in pick for "));
  EXPECT_GE(results().size(), 1U);
  expect_workers_end();
}

}  // namespace
}  // namespace weft::test
