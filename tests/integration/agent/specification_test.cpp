// What `weft agent` takes for a launch specification and for a command, and what it says to all else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/agent_spec.h"

namespace weft::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::string refusal(std::string_view line) {
  const auto parsed = parse_agent_specification(line);
  if (parsed) return "(taken)";
  EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
  return parsed.error().message;
}

std::string command_refusal(std::string_view line) {
  const auto parsed = parse_agent_command(line);
  return parsed ? "(taken)" : parsed.error().message;
}

TEST(AgentSpecification, EveryKeyArrives) {
  const auto parsed = parse_agent_specification(
      R"({"weft_agent": 1, "argv": ["/bin/a", "b c\n"], "env": [["N", "v=1"], ["E", ""]], "cwd": "/tmp", "cpus": [0, 3],
          "log_path": "/tmp/log", "name": "rank 3", "grace_ms": 250, "die_with_input": false})");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_THAT(parsed->rank.argv, ElementsAre("/bin/a", "b c\n"));
  EXPECT_THAT(parsed->rank.env, ElementsAre(Pair("N", "v=1"), Pair("E", "")));
  EXPECT_THAT(parsed->rank.cpus, ElementsAre(0, 3));
  EXPECT_EQ(parsed->rank.log_path, "/tmp/log");
  EXPECT_EQ(parsed->directory, "/tmp");
  EXPECT_EQ(parsed->name, "rank 3");
  EXPECT_EQ(parsed->grace, std::chrono::milliseconds(250));
  EXPECT_FALSE(parsed->die_with_input);
}

TEST(AgentSpecification, BytesThatAreNotUtf8ComeAsBase64) {
  const auto parsed = parse_agent_specification(R"({"weft_agent": 1, "argv": ["/bin/a", {"base64": "/wA="}]})");
  EXPECT_FALSE(parsed);  // ff 00: a null character
  const auto taken = parse_agent_specification(
      R"({"weft_agent": 1, "argv": [{"base64": "L2Jpbi9h"}, {"base64": "/w=="}, {"base64": "/v8="}, {"base64": ""}]})");
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_THAT(taken->rank.argv, ElementsAre("/bin/a", "\xff", "\xfe\xff", ""));
}

TEST(AgentSpecification, AQuestionStandsAlone) {
  const auto parsed = parse_agent_specification(R"({"weft_agent": 1, "describe": true})");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_TRUE(parsed->describe);
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "describe": false})"), HasSubstr("describe: expected true"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "describe": true, "argv": ["/bin/a"]})"), HasSubstr("no key beside it"));
}

TEST(AgentSpecification, EachMistakeIsNamed) {
  EXPECT_THAT(refusal(""), HasSubstr("expected one line that is a JSON object"));
  EXPECT_THAT(refusal("[]"), HasSubstr("expected a JSON object, found array"));
  EXPECT_THAT(refusal("{\"argv\": [\"\xff\"]}"), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal(R"({"argv": ["/bin/a"]})"), HasSubstr("speaks version 1, the specification names none"));
  EXPECT_THAT(refusal(R"({"weft_agent": 2, "argv": ["/bin/a"]})"), HasSubstr("speaks version 1, the specification 2"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argu": []})"), HasSubstr("unknown key 'argu'; expected weft_agent, argv"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1})"), HasSubstr("argv: expected a list"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": []})"), HasSubstr("argv: expected a list"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": [""]})"), HasSubstr("argv[0]: expected the program's path"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": ["/bin/a", 7]})"), HasSubstr("argv[1]: expected a string"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": ["a\u0000b"]})"), HasSubstr("null character"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": ["/bin/a"], "env": {"A": "b"}})"),
              HasSubstr("env: expected a list"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": ["/bin/a"], "env": [["A=", "b"]]})"), HasSubstr("'A=' is no name"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": ["/bin/a"], "cpus": [-1]})"),
              HasSubstr("cpus[0]: expected a whole"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": ["/bin/a"], "cpus": [1e300]})"), HasSubstr("cpus[0]"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": ["/bin/a"], "cpus": [18446744073709551615]})"),
              HasSubstr("cpus[0]"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": ["/bin/a"], "grace_ms": "1s"})"), HasSubstr("grace_ms"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": ["/bin/a"], "die_with_input": 1})"), HasSubstr("die_with_input"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": [{"base64": "A"}]})"), HasSubstr("multiple of 4"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": [{"base64": "===="}]})"), HasSubstr("padding"));
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": [{"base64": "A A="}]})"), HasSubstr("no digit of base64"));
}

TEST(AgentSpecification, DeepNestingIsRefusedAndNotKept) {
  const std::string deep(200'000, '[');
  EXPECT_THAT(refusal(R"({"weft_agent": 1, "argv": )" + deep + std::string(200'000, ']') + "}"),
              HasSubstr("too deeply"));
  EXPECT_NE(refusal(deep), "(taken)");
}

TEST(AgentCommand, StopAndSignalAreTakenAndAllElseIsNamed) {
  const auto stop = parse_agent_command(R"({"stop": {"grace_ms": 500}})");
  ASSERT_TRUE(stop) << stop.error().message;
  EXPECT_EQ(stop->signal, 0);
  EXPECT_EQ(stop->grace, std::chrono::milliseconds(500));
  const auto signal = parse_agent_command(R"({"signal": 10})");
  ASSERT_TRUE(signal) << signal.error().message;
  EXPECT_EQ(signal->signal, 10);
  EXPECT_THAT(command_refusal("{}"), HasSubstr("expected one command a line"));
  EXPECT_THAT(command_refusal(R"({"signal": 0})"), HasSubstr("from 1 to 64"));
  EXPECT_THAT(command_refusal(R"({"signal": 65})"), HasSubstr("from 1 to 64"));
  EXPECT_THAT(command_refusal(R"({"stop": {}})"), HasSubstr("stop: expected"));
  EXPECT_THAT(command_refusal(R"({"stop": {"grace_ms": -1}})"), HasSubstr("grace_ms"));
  EXPECT_THAT(command_refusal(R"({"go": 1})"), HasSubstr("unknown key 'go'; expected stop, signal"));
}

}  // namespace
}  // namespace weft::cli
