// What reaches the rank, and what is said where it cannot start.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "cli/agent_spec.h"
#include "cli/exit_code.h"
#include "tests/integration/agent/agent_process.h"

namespace weft::test {
namespace {

using ::testing::HasSubstr;

class AgentStart : public ::testing::Test {
 protected:
  void SetUp() override { (void)std::signal(SIGPIPE, SIG_IGN); }

  // Runs a specification to its end; the exit event.
  Json run(const Json& specification, int code = cli::exit_ok) {
    AgentProcess agent;
    agent.send(specification);
    Json event = agent.next();
    if (event.value("event", "") == "started") {
      EXPECT_GT(event["pid"].get<int>(), 0);
      event = agent.next();
    }
    EXPECT_EQ(event.value("event", ""), "exit") << event;
    EXPECT_TRUE(agent.next().is_null()) << "something follows the exit";
    EXPECT_EQ(agent.wait(), code);
    return event;
  }

  TemporaryDirectory directory_;
};

TEST_F(AgentStart, AskedItSaysWhatItsNodeHasAndStartsNothing) {
  AgentProcess agent;
  agent.send({{"weft_agent", 1}, {"describe", true}});
  const Json node = agent.next();
  EXPECT_EQ(node.value("event", ""), "node") << node;
  EXPECT_FALSE(node.value("host", "").empty());
  EXPECT_FALSE(node["cpus"].empty()) << node;
  EXPECT_TRUE(node["memory"].is_number_unsigned()) << node;
  EXPECT_TRUE(agent.next().is_null()) << "something follows the node";
  EXPECT_EQ(agent.wait(), cli::exit_ok);
}

TEST_F(AgentStart, ARankWithACpuThatIsNotThereNeverStarts) {
  AgentProcess asked;
  asked.send({{"weft_agent", 1}, {"describe", true}});
  const int there = asked.next()["cpus"].front().get<int>();
  Json specification = shell("exit 0");
  specification["cpus"] = {there, 60'000};  // the kernel would take this mask, and give the one
  const Json exit = run(specification, cli::exit_not_started);
  EXPECT_EQ(exit["cause"], "never_started");
  EXPECT_THAT(exit["detail"].get<std::string>(), HasSubstr("a CPU that is not there"));
}

TEST_F(AgentStart, ExitsArriveAsTheyWere) {
  for (const int code : {0, 1, 3, 255}) {
    const Json exit = run(shell("exit " + std::to_string(code)));
    EXPECT_EQ(exit["cause"], "code");
    EXPECT_EQ(exit["value"], code);
  }
  for (const int signal : {SIGKILL, SIGTERM, SIGSEGV}) {
    const Json exit = run(shell(fmt::format("ulimit -c 0; kill -{} $$", signal)));
    EXPECT_EQ(exit["cause"], "signal");
    EXPECT_EQ(exit["value"], signal);
  }
}

TEST_F(AgentStart, ArgumentsArriveVerbatim) {
  const std::string long_text(100'000, 'x');
  Json specification = shell("printf '%s\\0' \"$@\"");
  for (const std::string& argument :
       {std::string("rank"), std::string("a b"), std::string("line\nline\r\t"), std::string("'\"$HOME`id`\\;&|*{node}"),
        std::string("grüße 你好 🙂"), std::string(), std::string("--"), long_text})
    specification["argv"].push_back(argument);
  specification["argv"].push_back({{"base64", "//4B"}});
  specification["log_path"] = directory_.file("log");
  EXPECT_EQ(run(specification)["value"], 0);
  using namespace std::string_literals;
  EXPECT_EQ(directory_.read("log"), "a b\0line\nline\r\t\0'\"$HOME`id`\\;&|*{node}\0grüße 你好 🙂\0\0--\0"s +
                                        long_text + "\0\xff\xfe\x01\0"s);
}

TEST_F(AgentStart, TheEnvironmentArrivesVerbatimOnTopOfTheAgentsOwn) {
  Json specification = {{"weft_agent", 1}, {"argv", {"/usr/bin/env", "-0"}}, {"log_path", directory_.file("log")}};
  specification["env"] = Json::array();
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"ONE", "a b\nc"}, {"HOME", "elsewhere"}, {"UTF", "grüße"}, {"EMPTY", ""}})
    specification["env"].push_back(Json::array({name, value}));
  specification["env"].push_back(Json::array({"RAW", {{"base64", "//4B"}}}));
  EXPECT_EQ(run(specification)["value"], 0);
  using namespace std::string_literals;
  const std::string seen = "\0"s + directory_.read("log");
  for (const std::string& entry : {"ONE=a b\nc"s, "HOME=elsewhere"s, "UTF=grüße"s, "EMPTY="s, "RAW=\xff\xfe\x01"s})
    EXPECT_NE(seen.find("\0"s + entry + "\0"s), std::string::npos) << entry;
  EXPECT_EQ(seen.find("\0HOME="s), seen.rfind("\0HOME="s));
  EXPECT_NE(seen.find("\0PATH="s), std::string::npos);
}

TEST_F(AgentStart, TheRankHasItsDirectoryAnEmptyInputAndNoDescriptorsButItsOwn) {
  Json specification = shell("pwd; cat; ls /proc/self/fd | tr '\\n' ' '; grep -E 'SigBlk|SigIgn' /proc/self/status");
  specification["cwd"] = directory_.path();
  specification["log_path"] = "made/on/the/way/log";
  EXPECT_EQ(run(specification)["value"], 0);
  const std::string log = directory_.read("made/on/the/way/log");
  EXPECT_THAT(log, HasSubstr(directory_.path() + "\n0 1 2 3 "));  // 3: the directory that ls reads
  EXPECT_THAT(log, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(log, HasSubstr("SigIgn:\t0000000000000000"));
}

TEST_F(AgentStart, TheLogIsAppendedTo) {
  Json specification = shell("echo out; echo err >&2");
  specification["log_path"] = directory_.write("log", "before\n");
  run(specification);
  EXPECT_EQ(directory_.read("log"), "before\nout\nerr\n");
}

TEST_F(AgentStart, TheRankRunsOnItsCpus) {
  Json specification = shell("grep Cpus_allowed_list /proc/self/status");
  specification["log_path"] = directory_.file("log");
  specification["cpus"] = {0};
  const Json exit = run(specification);
  if (exit["cause"] == "never_started") GTEST_SKIP() << "skipped: CPU 0 is not ours";
  EXPECT_THAT(directory_.read("log"), HasSubstr("\t0\n"));
}

TEST_F(AgentStart, WhatCannotStartIsSaidWithItsReason) {
  const auto detail = [&](const Json& specification) {
    const Json exit = run(specification, cli::exit_not_started);
    EXPECT_EQ(exit["cause"], "never_started");
    return exit["detail"].get<std::string>();
  };
  EXPECT_THAT(detail({{"weft_agent", 1}, {"argv", {"/bin/nothing"}}}), HasSubstr("/bin/nothing: execve: No such file"));
  Json no_directory = shell("exit 0");
  no_directory["cwd"] = directory_.file("nowhere");
  EXPECT_THAT(detail(no_directory), HasSubstr("nowhere: No such file"));
  Json no_log = shell("exit 0");
  no_log["log_path"] = directory_.path();
  EXPECT_THAT(detail(no_log), HasSubstr("expected a file that can be appended to"));
  Json no_cpu = shell("exit 0");
  no_cpu["cpus"] = {65000};
  EXPECT_THAT(detail(no_cpu), HasSubstr("sched_setaffinity"));
}

TEST_F(AgentStart, WhatIsNoSpecificationStartsNothing) {
  const auto answer = [](const std::string& bytes) {
    AgentProcess agent;
    agent.send(bytes);
    agent.end_input();
    const Json exit = agent.next();
    EXPECT_EQ(exit.value("cause", ""), "never_started") << exit;
    EXPECT_EQ(agent.wait(), cli::exit_usage);
    return exit.value("detail", "");
  };
  EXPECT_THAT(answer(""), HasSubstr("expected a launch specification"));
  EXPECT_THAT(answer(shell("exit 0").dump()), HasSubstr("has no end; expected a newline"));
  EXPECT_THAT(answer("\n"), HasSubstr("expected one line that is a JSON object"));
  EXPECT_THAT(answer("\xff\xfe\n"), HasSubstr("JSON object"));
  EXPECT_THAT(answer(R"({"weft_agent": 1, "argv": ["/bin/sh"], "shell": true})"
                     "\n"),
              HasSubstr("unknown key 'shell'"));
  EXPECT_THAT(answer(std::string(cli::longest_agent_specification + 100'000, '[')), HasSubstr("longer than"));
}

}  // namespace
}  // namespace weft::test
