#include "tests/integration/bench/bench_command.h"

#include <cmath>

namespace weft::test {

Child BenchTest::start(const std::vector<std::string>& arguments) const {
  ChildSpec spec{.argv = {WEFT_BUILD_DIR "/bin/weft", "bench"},
                 .env = {{"XDG_STATE_HOME", directory_.file("state")}, {"XDG_CACHE_HOME", directory_.file("cache")}},
                 .directory = directory_.path()};
  spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
  return Child(std::move(spec));
}

Ended BenchTest::run(const std::vector<std::string>& arguments) const {
  Child child = start(arguments);
  const int code = child.wait();
  return {code, child.out(), child.err()};
}

std::vector<std::string> BenchTest::of_tiny(const std::string& what, const std::vector<std::string>& more) const {
  std::vector<std::string> arguments = {what, "--model", bundled_model};
  for (const char* each : {"parallel.threads=1", "parallel.oversubscribe=true", "engine.kv_memory=16MiB"})
    arguments.insert(arguments.end(), {"--set", each});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Json BenchTest::report(const std::string& what, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = of_tiny(what, more);
  arguments.insert(arguments.end(), {"--json", "report.json", "--repeat", std::to_string(repetitions)});
  const Ended ended = run(arguments);
  EXPECT_EQ(ended.code, 0) << ended.err;
  Json parsed = Json::parse(directory_.read("report.json"), nullptr, false);
  EXPECT_TRUE(parsed.is_object()) << "no report";
  EXPECT_EQ(parsed["benchmark"], what);
  EXPECT_EQ(parsed["repeat"], repetitions);
  EXPECT_THAT(ended.out, HasSubstr("limit"));
  return parsed;
}

void expect_spread(const Json& spread, const std::string& what) {
  ASSERT_TRUE(spread.is_object()) << what;
  EXPECT_GT(spread["min"], 0) << what;
  EXPECT_GE(spread["median"], spread["min"]) << what;
  EXPECT_GE(spread["max"], spread["median"]) << what;
}

void expect_close(double found, double expected, const std::string& what) {
  EXPECT_NEAR(found, expected, std::abs(expected) * 1e-9) << what;
  EXPECT_GT(found, 0) << what;
}

}  // namespace weft::test
