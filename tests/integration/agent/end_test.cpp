// How a rank ends: by a command, with the agent's input, with the agent; and that nothing of it is left.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "tests/integration/agent/agent_process.h"

namespace weft::test {
namespace {

using ::testing::HasSubstr;

class AgentEnd : public ::testing::Test {
 protected:
  void SetUp() override { (void)std::signal(SIGPIPE, SIG_IGN); }

  // Starts the script, of which "BELL" is the path of the bell, and waits for the bell.
  std::string start(std::string script, Json more = Json::object()) {
    for (std::size_t at = 0; (at = script.find("BELL")) != std::string::npos;)
      script.replace(at, 4, bell_.path());
    Json specification = shell(script);
    specification.update(more);
    agent_.send(specification);
    EXPECT_EQ(agent_.next()["event"], "started");
    return bell_.wait();
  }

  void expect_signal(int number) {
    const Json exit = agent_.next();
    EXPECT_EQ(exit["event"], "exit") << exit;
    EXPECT_EQ(exit["cause"], "signal") << exit;
    EXPECT_EQ(exit["value"], number) << exit;
  }
  void expect_code(int code) {
    const Json exit = agent_.next();
    EXPECT_EQ(exit["cause"], "code") << exit;
    EXPECT_EQ(exit["value"], code) << exit;
  }

  TemporaryDirectory directory_;
  Bell bell_{directory_};
  AgentProcess agent_;
};

TEST_F(AgentEnd, StopIsTermFirst) {
  start("trap 'exit 7' TERM; echo > BELL; while :; do sleep 1000 & wait; done");
  agent_.send({{"stop", {{"grace_ms", 60'000}}}});
  expect_code(7);
  EXPECT_EQ(agent_.wait(), 0);
}

TEST_F(AgentEnd, StopIsKillAfterTheGrace) {
  start("trap '' TERM; echo > BELL; sleep 1000");
  agent_.send({{"stop", {{"grace_ms", 100}}}});
  expect_signal(SIGKILL);
  EXPECT_EQ(agent_.wait(), 0);
}

TEST_F(AgentEnd, AShorterGraceCounts) {
  start("trap '' TERM; echo > BELL; sleep 1000");
  agent_.send({{"stop", {{"grace_ms", 3'600'000}}}});
  agent_.send({{"stop", {{"grace_ms", 0}}}});
  expect_signal(SIGKILL);
}

TEST_F(AgentEnd, ASignalReachesTheProcessGroup) {
  start("trap 'exit 9' USR1; echo > BELL; while :; do sleep 1000 & wait; done");
  agent_.send({{"signal", SIGUSR1}});
  expect_code(9);
}

TEST_F(AgentEnd, AStoppedRankIsKilled) {
  // The bell rings once the rank has stopped: a TERM that overtakes a STOP still on its way would end it first.
  start(
      "(until read -r _ _ state _ < /proc/$$/stat && [ \"$state\" = T ]; do :; done; echo > BELL) & "
      "kill -STOP $$; sleep 1000");
  agent_.send({{"stop", {{"grace_ms", 50}}}});
  expect_signal(SIGKILL);
}

TEST_F(AgentEnd, TheEndOfTheInputKillsTheRankAndWhatCameOfIt) {
  const std::string pid =
      start("setsid sh -c 'echo $$ > BELL; trap \"\" TERM; while :; do sleep 1000; done' & sleep 1000");
  const int escaped = open_pidfd(std::stoi(pid));
  ASSERT_GE(escaped, 0);
  agent_.end_input();
  EXPECT_EQ(agent_.next()["cause"], "signal");
  EXPECT_TRUE(wait_gone(escaped)) << "a process that left its group lives on";
  close(escaped);
  EXPECT_EQ(agent_.wait(), 0);
}

TEST_F(AgentEnd, WhatARankLeavesBehindAtItsOwnEndIsKilled) {
  // The grandchild's parent is gone before the rank is: it has become the agent's child.
  const std::string pid =
      start("trap 'exit 4' USR1; (setsid sh -c 'echo $$ > BELL; sleep 1000' &); while :; do sleep 1000 & wait; done");
  const int escaped = open_pidfd(std::stoi(pid));
  ASSERT_GE(escaped, 0);
  agent_.send({{"signal", SIGUSR1}});
  expect_code(4);
  EXPECT_TRUE(wait_gone(escaped));
  close(escaped);
}

TEST_F(AgentEnd, ARankThatIsToOutliveItsInputDoes) {
  Json specification = shell("trap 'exit 5' USR1; echo $$ > " + bell_.path() + "; while :; do sleep 1000 & wait; done");
  specification["die_with_input"] = false;
  agent_.send(specification);
  agent_.end_input();
  EXPECT_EQ(agent_.next()["event"], "started");
  (void)kill(std::stoi(bell_.wait()), SIGUSR1);
  expect_code(5);
  EXPECT_EQ(agent_.wait(), 0);
}

TEST_F(AgentEnd, AnAgentThatIsAskedToEndGivesTheGraceOfTheSpecification) {
  start("trap 'exit 6' TERM; echo > BELL; while :; do sleep 1000 & wait; done", {{"grace_ms", 60'000}});
  (void)kill(agent_.pid(), SIGTERM);
  expect_code(6);
  EXPECT_EQ(agent_.wait(), 0);
}

TEST_F(AgentEnd, AKilledAgentTakesItsRankAlong) {
  const int rank = open_pidfd(std::stoi(start("echo $$ > BELL; exec sleep 1000")));
  ASSERT_GE(rank, 0);
  (void)kill(agent_.pid(), SIGKILL);
  EXPECT_TRUE(wait_gone(rank));
  close(rank);
}

TEST_F(AgentEnd, ALineThatIsNoCommandIsSaidAndTheRankGoesOn) {
  start("trap 'exit 8' TERM; echo > BELL; while :; do sleep 1000 & wait; done");
  agent_.send(std::string("{\"stop\": 5}\n\xff\n{\"signal\": 900}\n"));
  for (const char* expected : {"stop: expected", "JSON object", "from 1 to 64"}) {
    const Json event = agent_.next();
    EXPECT_EQ(event["event"], "error");
    EXPECT_THAT(event["detail"].get<std::string>(), HasSubstr(expected));
  }
  agent_.send({{"stop", {{"grace_ms", 60'000}}}});
  expect_code(8);
}

TEST_F(AgentEnd, AnEndlessCommandIsTheEndOfTheInput) {
  start("echo > BELL; sleep 1000");
  agent_.send(std::string(100'000, '{'));
  EXPECT_THAT(agent_.next().value("detail", ""), HasSubstr("too long"));
  EXPECT_EQ(agent_.next()["event"], "exit");
  EXPECT_EQ(agent_.wait(), 0);
}

}  // namespace
}  // namespace weft::test
