// Ctrl-C: once drains, twice stops.
#include <csignal>

#include "tests/integration/run/run_test.h"

namespace weft::test {
namespace {

class Interrupt : public RunTest {
 protected:
  // One request of one token, then `count` of `tokens`, in this order and one at a time.
  void write_long_requests(int count, int tokens) {
    std::vector<Json> chats = {long_chat("first", 1)};
    for (int i = 0; i < count; ++i)
      chats.push_back(long_chat("long-" + std::to_string(i), tokens));
    write_requests(chats);
  }
  // Interrupted when the first answer is there, and so the second request runs.
  Child start_and_interrupt(std::vector<std::string> set) {
    set.insert(set.end(), {"engine.max_requests=1", "batch.window=1"});
    Child child = start({.set = std::move(set)});
    EXPECT_TRUE(wait_for_results(child, 1)) << child.err();
    child.signal_group(SIGINT);
    return child;
  }
};

TEST_F(Interrupt, OnceLetsWhatRunsEndAndTheNextRunGoesOn) {
  write_long_requests(12, sanitized ? 60 : 400);
  Child child = start_and_interrupt({});
  EXPECT_EQ(child.wait(), 130) << child.err();
  EXPECT_THAT(child.err(), AllOf(HasSubstr("interrupted: 1 requests may end"),
                                 HasSubstr("interrupted: the same command"), Not(HasSubstr("error"))));
  const Json told = summary();
  EXPECT_TRUE(told["interrupted"].get<bool>());
  EXPECT_GE(told["requests"]["answered"], 2);
  EXPECT_EQ(told["failures"], Json({{"not_started", told["requests"]["left"]}})) << "what ran has ended";
  const std::string before = read("results.jsonl");
  const Ended again = run();
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(read("results.jsonl").substr(0, before.size()), before);
  EXPECT_EQ(answers().size(), 13U);
}

TEST_F(Interrupt, ByATerminationIsTheSame) {
  write_long_requests(12, sanitized ? 60 : 400);
  Child child = start({.set = {"engine.max_requests=1", "batch.window=1"}});
  ASSERT_TRUE(wait_for_results(child, 1)) << child.err();
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(), 130) << child.err();
  EXPECT_EQ(summary()["failures"], Json({{"not_started", summary()["requests"]["left"]}})) << "what ran has ended";
}

// The reference device takes half a minute for the second request.
TEST_F(Interrupt, TwiceStopsAtOnce) {
  write_long_requests(2, sanitized ? 100 : 900);
  Child child = start_and_interrupt({"device.plugin=reference", "timeouts.drain=10m"});
  ASSERT_TRUE(child.wait_for("interrupt again to stop at once")) << child.err();
  const Time second = Clock::now();
  child.signal_group(SIGINT);
  EXPECT_EQ(child.wait(), 130) << child.err();
  EXPECT_LT(Clock::now() - second, std::chrono::seconds(10));
  EXPECT_THAT(child.err(), Not(HasSubstr("error"))) << child.err();
  EXPECT_EQ(summary()["requests"]["answered"], 1);
  EXPECT_EQ(summary()["failures"], Json({{"cancelled", 1}, {"not_started", 1}}));
  const Ended again = run();
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(answers().size(), 3U);
}

TEST_F(Interrupt, EndsWhatRunsWhenTheTimeToDrainIsOver) {
  write_long_requests(2, sanitized ? 100 : 900);
  Child child = start_and_interrupt({"device.plugin=reference", "timeouts.drain=100ms"});
  EXPECT_EQ(child.wait(), 130) << child.err();
  EXPECT_THAT(child.err(), Not(HasSubstr("error"))) << child.err();
  EXPECT_EQ(summary()["requests"]["answered"], 1);
  EXPECT_EQ(summary()["failures"], Json({{"cancelled", 1}, {"not_started", 1}}));
}

}  // namespace
}  // namespace weft::test
