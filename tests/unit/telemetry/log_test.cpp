#include "core/telemetry/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "core/telemetry/log_line.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// What is written to standard error between the two ends of its life.
class Captured {
 public:
  Captured() { ::testing::internal::CaptureStderr(); }
  std::vector<std::string> lines() {
    std::istringstream text(::testing::internal::GetCapturedStderr());
    std::vector<std::string> all;
    for (std::string line; std::getline(text, line);)
      all.push_back(line);
    return all;
  }
};

class Log : public ::testing::Test {
 protected:
  void TearDown() override { log::set_up({}); }
};

log::Event event(std::string_view message, std::string_view name = "") {
  // 2009-02-13T23:31:30.042Z
  return {.time = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'234'567'890'042)),
          .level = LogLevel::warn,
          .name = name,
          .component = "cluster",
          .message = message};
}

TEST_F(Log, RendersText) {
  EXPECT_EQ(log::render(log::Format::text, event("replica 1 is ready")),
            "2009-02-13T23:31:30.042Z warn  cluster: replica 1 is ready");
  EXPECT_EQ(log::render(log::Format::text, event("up", "rank 3")),
            "2009-02-13T23:31:30.042Z warn  [rank 3] cluster: up");
}

TEST_F(Log, RendersJson) {
  const auto line = nlohmann::json::parse(log::render(log::Format::json, event("a \"quoted\" \\ text", "rank 3")));
  EXPECT_EQ(line, (nlohmann::json{{"time", "2009-02-13T23:31:30.042Z"},
                                  {"level", "warn"},
                                  {"name", "rank 3"},
                                  {"component", "cluster"},
                                  {"message", "a \"quoted\" \\ text"}}));
  EXPECT_FALSE(nlohmann::json::parse(log::render(log::Format::json, event("x"))).contains("name"));
}

TEST_F(Log, LetsNoMessageForgeALineOrDriveATerminal) {
  EXPECT_THAT(log::render(log::Format::text, event("a\nb\x1b[31m\tc")), HasSubstr("cluster: a\\nb\\x1b[31m\\tc"));
  const std::string hostile("a\nb\x1b\0c", 6);
  const std::string json = log::render(log::Format::json, event(hostile));
  EXPECT_EQ(json.find('\n'), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(json)["message"], hostile);
}

TEST_F(Log, KeepsUtf8AndReplacesWhatIsNotInJson) {
  const auto message = [](std::string_view text) {
    return nlohmann::json::parse(log::render(log::Format::json, event(text)))["message"].get<std::string>();
  };
  EXPECT_EQ(message("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"), "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80");
  EXPECT_EQ(message("\xff"), "\xef\xbf\xbd");
  EXPECT_EQ(message("\xc3"), "\xef\xbf\xbd");                                  // cut off
  EXPECT_EQ(message("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd");                  // overlong
  EXPECT_EQ(message("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // a surrogate
}

TEST_F(Log, WritesWhatTheLevelLetsThrough) {
  log::set_up({.level = LogLevel::debug, .name = "rank 3"});
  Captured captured;
  log::trace("a", "no");
  log::debug("a", "{} and {}", 1, "two");
  log::error("b", "bad");
  const auto lines = captured.lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], MatchesRegex("[0-9T:.-]+Z debug \\[rank 3\\] a: 1 and two"));
  EXPECT_THAT(lines[1], MatchesRegex("[0-9T:.-]+Z error \\[rank 3\\] b: bad"));
  EXPECT_FALSE(log::enabled(LogLevel::trace));
  EXPECT_TRUE(log::enabled(LogLevel::debug));
}

TEST_F(Log, WritesWholeLinesFromManyThreadsWhileItIsSetUpAnew) {
  log::set_up({.format = log::Format::json});
  Captured captured;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 250; ++i)
        log::info("thread", "{} {} {}", t, i, std::string(200, 'x'));
    });
  for (int i = 0; i < 50; ++i)
    log::set_up({.format = log::Format::json, .name = "again"});
  for (std::thread& thread : threads)
    thread.join();
  const auto lines = captured.lines();
  EXPECT_EQ(lines.size(), 1000u);
  EXPECT_TRUE(
      std::all_of(lines.begin(), lines.end(), [](const std::string& line) { return nlohmann::json::accept(line); }));
}

TEST_F(Log, ParsesItsOptions) {
  EXPECT_EQ(*log::parse_level("warn"), LogLevel::warn);
  EXPECT_EQ(*log::parse_format("json"), log::Format::json);
  EXPECT_THAT(log::parse_level("loud").error().message, HasSubstr("trace, debug, info, warn, error"));
  EXPECT_THAT(log::parse_format("xml").error().message, HasSubstr("text and json"));
}

struct Unprintable {};
}  // namespace
}  // namespace weft

template <>
struct fmt::formatter<weft::Unprintable> {
  constexpr auto parse(format_parse_context& context) { return context.begin(); }
  auto format(const weft::Unprintable&, format_context& context) const -> decltype(context.out()) {
    throw std::runtime_error("unprintable");
  }
};

namespace weft {
namespace {

TEST_F(Log, SurvivesAFormatterThatThrows) {
  Captured captured;
  log::info("a", "{}", Unprintable{});
  const auto lines = captured.lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], HasSubstr("could not be formatted"));
}

}  // namespace
}  // namespace weft
