// `weft bench latency`, `throughput` and `model`.
#include <csignal>

#include "tests/integration/bench/bench_command.h"

namespace weft::test {
namespace {

// weft-tiny, by its config: 4 layers of hidden 256, 8 heads of 32 over 4 of keys and values, 512 columns, vocabulary 2048.
constexpr double layer_weights = 4 * (256 * (256 + 2 * 128) + 256 * 256 + 3 * 256 * 512);
constexpr double head_weights = 2048 * 256;

void expect_head(const Json& report) {
  EXPECT_EQ(report["model"]["dtype"], "bf16");
  EXPECT_EQ(report["model"]["layer_weights"], layer_weights);
  EXPECT_EQ(report["model"]["head_weights"], head_weights);
  EXPECT_EQ(report["model"]["bytes_a_step"], 2 * (layer_weights + head_weights));
  EXPECT_EQ(report["plugins"]["executor"], "mp");
  expect_spread(report["limits"]["read_bytes_per_second"], "reads");
  expect_spread(report["limits"]["multiply_add_flops_per_second"], "multiply-adds");
  for (const char* key : {"plan", "launch", "join", "load", "ready", "first_step", "first_token"})
    EXPECT_GT(report["start"][std::string(key) + "_seconds"], 0) << key;
  expect_close(report["start"]["first_token_seconds"],
               report["start"]["ready_seconds"].get<double>() + report["start"]["first_step_seconds"].get<double>(),
               "start");
}

TEST_F(BenchTest, LatencyHoldsPrefillAgainstMultiplyAddsAndDecodingAgainstReads) {
  const Json found = report("latency", {"--prompt-tokens", "24", "--output-tokens", "5"});
  expect_head(found);
  const Json& prefill = found["prefill"];
  const Json& decode = found["decode"];
  expect_spread(prefill["first_token_seconds"], "first token");
  expect_spread(decode["token_seconds"], "token");
  const double first = prefill["first_token_seconds"]["median"];
  const double token = decode["token_seconds"]["median"];
  expect_close(token, decode["seconds"]["median"].get<double>() / 4, "four further tokens");
  expect_close(prefill["tokens_per_second"], 24 / first, "prefill");
  expect_close(prefill["flops_per_second"], 2 * (24 * layer_weights + head_weights) / first, "operations");
  expect_close(prefill["share_of_multiply_adds"],
               prefill["flops_per_second"].get<double>() /
                   found["limits"]["multiply_add_flops_per_second"]["median"].get<double>(),
               "share of multiply-adds");
  expect_close(decode["tokens_per_second"], 1 / token, "decoding");
  expect_close(decode["read_bytes_per_second"], 2 * (layer_weights + head_weights) / token, "bytes");
  expect_close(
      decode["share_of_reads"],
      decode["read_bytes_per_second"].get<double>() / found["limits"]["read_bytes_per_second"]["median"].get<double>(),
      "share of reads");
  EXPECT_EQ(found["limits"]["threads"], 1);
  EXPECT_EQ(found["engines"]["0"]["steps"], (1 + repetitions) * 5)
      << "each time, and as a warm-up, a prefill and four steps";
}

TEST_F(BenchTest, ThroughputCountsTheTokensOfAllRequests) {
  const Json found = report(
      "throughput", {"--requests", "6", "--prompt-tokens", "10", "--output-tokens", "4", "--set", "parallel.data=2"});
  expect_head(found);
  const Json& through = found["throughput"];
  expect_spread(through["seconds"], "seconds");
  expect_spread(through["first_token_seconds"], "first token");
  const double seconds = through["seconds"]["median"];
  expect_close(through["generated_tokens_per_second"], 6 * 4 / seconds, "generated");
  expect_close(through["total_tokens_per_second"], 6 * 14 / seconds, "total");
  expect_close(through["flops_per_second"], 2 * (6 * 13 * layer_weights + 6 * 4 * head_weights) / seconds,
               "operations");
  const double reads = found["limits"]["read_bytes_per_second"]["median"];
  expect_close(through["batch_1_limit_tokens_per_second"], reads / (2 * (layer_weights + head_weights)),
               "one at a time");
  expect_close(
      through["times_batch_1_limit"],
      through["generated_tokens_per_second"].get<double>() / through["batch_1_limit_tokens_per_second"].get<double>(),
      "times");
  EXPECT_EQ(found["limits"]["threads"], 2) << "one of each copy";
  EXPECT_EQ(found["parallel"]["data"], 2);
}

TEST_F(BenchTest, AConfigurationFileIsDrivenAsWeftRunDrivesIt) {
  directory_.write("weft.toml", std::string("[model]\npath = \"") + bundled_model +
                                    "\"\ndtype = \"f32\"\n[parallel]\ntensor = 2\nthreads = 1\noversubscribe = true\n"
                                    "[engine]\nkv_memory = \"16MiB\"\n");
  const Ended ended =
      run({"latency", "--json", "report.json", "--repeat", "1", "--prompt-tokens", "8", "--output-tokens", "3"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const Json found = Json::parse(directory_.read("report.json"));
  EXPECT_EQ(found["model"]["dtype"], "f32");
  EXPECT_EQ(found["parallel"]["tensor"], 2);
  EXPECT_EQ(found["limits"]["threads"], 2) << "both ranks work on one request";
  EXPECT_GT(found["engines"]["0"]["collective_seconds"], 0);
}

TEST_F(BenchTest, WhatDoesNotFitIsRefusedBeforeAnythingStarts) {
  const auto refused = [&](const std::vector<std::string>& arguments, int code, const std::string& why) {
    const Ended ended = run(arguments);
    EXPECT_EQ(ended.code, code) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(why));
    EXPECT_FALSE(std::filesystem::exists(directory_.file("state"))) << "something was started";
  };
  refused(of_tiny("latency", {"--prompt-tokens", "1000", "--output-tokens", "25"}), 2,
          "are 1025 tokens, the model's context has 1024");
  refused(of_tiny("latency", {"--output-tokens", "1"}), 2, "--output-tokens");
  refused(of_tiny("latency", {"--prompt-tokens", "0"}), 2, "--prompt-tokens");
  refused(of_tiny("latency", {"--prompt-tokens", "many"}), 2, "--prompt-tokens");
  refused(of_tiny("throughput", {"--requests", "-1"}), 2, "--requests");
  refused(of_tiny("throughput", {"--repeat", "0"}), 2, "--repeat");
  refused(of_tiny("throughput", {"--json", "missing/report.json"}), 2, "missing/report.json: cannot be written");
  refused(of_tiny("throughput", {"-c", "weft.toml"}), 2, "--config excludes --model");
  refused({"latency", "--model", "bench-7b"}, 3, "--model bench-7b: neither a directory nor one of bench-100m");
  refused({"latency"}, 3, "weft.toml: no such file");
  refused({"serve"}, 2, "");
  refused({}, 2, "A subcommand is required");
}

TEST_F(BenchTest, ACtrlCEndsItWithoutFigures) {
  Child child = start(of_tiny(
      "latency", {"--json", "report.json", "--repeat", "1000", "--prompt-tokens", "64", "--output-tokens", "900"}));
  ASSERT_TRUE(child.wait_for("ready after")) << child.err();
  child.signal_group(SIGINT);
  EXPECT_EQ(child.wait(), 130) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("interrupted"));
  EXPECT_EQ(directory_.read("report.json"), "");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_.path()))
    EXPECT_NE(entry.path().filename(), "token") << "the run directory still holds it";
}

TEST_F(BenchTest, AModelIsMadeOnceWhereTheUserWantsIt) {
  if (sanitized) GTEST_SKIP() << "two hundred megabytes, some minutes with a sanitizer";
  const Ended made = run({"model", "bench-100m", "--to", "model"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(made.out, directory_.file("model") + "\n");
  EXPECT_THAT(made.err, HasSubstr("made bench-100m"));
  const Ended again = run({"model", "bench-100m", "--to", "model"});
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.err, "");
  const Ended other = run({"model", "bench-100m", "--to", "model", "--seed", "1"});
  EXPECT_EQ(other.code, 2) << other.err;
  EXPECT_THAT(other.err, HasSubstr("holds another model"));
  EXPECT_EQ(run({"model", "bench-100m", "--dtype", "i8"}).code, 2);
}

}  // namespace
}  // namespace weft::test
