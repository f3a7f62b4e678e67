#include "core/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

tl::expected<Config, std::vector<Problem>> parse(const std::string& text, std::vector<std::string> overrides = {}) {
  return parse_config(
      {.text = text, .name = "weft.toml", .base_directory = "/base", .overrides = std::move(overrides)});
}

std::vector<std::string> problems(const std::string& text, std::vector<std::string> overrides = {}) {
  const auto config = parse(text, std::move(overrides));
  std::vector<std::string> lines;
  if (!config)
    for (const Problem& problem : config.error())
      lines.push_back(to_string(problem));
  return lines;
}

TEST(Config, TheModelTableAloneIsEnough) {
  const auto config = parse("[model]\npath = \"models/weft-tiny\"\n");
  ASSERT_TRUE(config) << to_string(config.error());
  EXPECT_EQ(config->model.path, "/base/models/weft-tiny");
  EXPECT_EQ(config->parallel.data, 1);
  EXPECT_EQ(config->executor.plugin, "mp");
  EXPECT_FALSE(config->model.dtype);
}

TEST(Config, EveryKeyIsRead) {
  const auto config = parse(R"(
[model]
path = "/m"
dtype = "bf16"
max_context = 512
[parallel]
data = 2
tensor = 4
threads = 3
oversubscribe = true
[executor]
plugin = "mp"
[executor.config]
cpus = "0-3"
[communicator]
plugin = "gloo"
control = "gloo"
[device]
path = "kernels/libweft-device-x.so"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
[engine]
kv_memory = "60%"
block_size = 32
[batch]
distribution = "static"
[timeouts]
lease = "500ms"
[log]
level = "debug"
)");
  ASSERT_TRUE(config) << to_string(config.error());
  EXPECT_EQ(config->model.dtype, DType::bf16);
  EXPECT_EQ(config->model.max_context, 512);
  EXPECT_EQ(config->parallel.tensor, 4);
  EXPECT_EQ(config->parallel.threads, 3);
  ASSERT_EQ(config->executor.options.size(), 1u);
  EXPECT_EQ(config->executor.options[0].key, "cpus");
  EXPECT_EQ(config->executor.options[0].where, "weft.toml:14:8");
  EXPECT_EQ(config->device.path, "/base/kernels/libweft-device-x.so");
  EXPECT_DOUBLE_EQ(config->engine.kv_memory.share, 0.6);
  EXPECT_EQ(config->timeouts.lease, std::chrono::milliseconds(500));
  EXPECT_EQ(config->batch.distribution, "static");
}

TEST(Config, TenMistakesGiveTenMessagesInFileOrder) {
  const auto found = problems(R"([model]
path = 7
dtype = "f64"
[parallel]
data = 0
tensr = 2
threads = "two"
[engine]
kv_memory = "much"
block_size = 1.5
[batch]
distribution = "sharded"
[timeouts]
lease = 5
[timeout]
lease = "1s"
)");
  ASSERT_EQ(found.size(), 10u) << ::testing::PrintToString(found);
  EXPECT_EQ(found[0], "weft.toml:2:8: [model] path: found integer 7, expected the path of a model directory");
  EXPECT_THAT(found[1],
              AllOf(StartsWith("weft.toml:3:9: [model] dtype: found string 'f64'"), HasSubstr("auto, f32, bf16, f16")));
  EXPECT_THAT(found[2], AllOf(StartsWith("weft.toml:5:8: [parallel] data: found integer 0"), HasSubstr("from 1 to")));
  EXPECT_EQ(found[3], "weft.toml:6:1: [parallel] unknown key 'tensr'; did you mean 'tensor'?");
  EXPECT_THAT(found[4], StartsWith("weft.toml:7:11: [parallel] threads: found string 'two'"));
  EXPECT_THAT(found[5], StartsWith("weft.toml:9:13: [engine] kv_memory:"));
  EXPECT_THAT(found[6], StartsWith("weft.toml:10:14: [engine] block_size: found number 1.5"));
  EXPECT_THAT(found[7], StartsWith("weft.toml:12:16: [batch] distribution: found string 'sharded'"));
  EXPECT_THAT(found[8], StartsWith("weft.toml:14:9: [timeouts] lease: found integer 5"));
  EXPECT_THAT(found[9],
              AllOf(StartsWith("weft.toml:15:"), HasSubstr("unknown table [timeout]; did you mean 'timeouts'?")));
}

TEST(Config, ASyntaxErrorIsReportedAlone) {
  const auto found = problems("[model]\npath = \"x\ndata = = 3\n[parallel\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0], StartsWith("weft.toml:2:"));
}

TEST(Config, AMissingModelPathIsNamed) {
  EXPECT_THAT(problems("[parallel]\ndata = 2\n"), ElementsAre(HasSubstr("[model] path is missing")));
  EXPECT_THAT(problems(""), ElementsAre(HasSubstr("[model] path is missing")));
}

TEST(Config, WhatIsNotBuiltIsRefusedAtItsLine) {
  EXPECT_THAT(problems("[model]\npath=\"m\"\n[serve]\nlisten = \"x\"\n"),
              ElementsAre(AllOf(StartsWith("weft.toml:3:"), HasSubstr("not in this version"))));
  EXPECT_THAT(problems("[model]\npath=\"m\"\n[parallel]\nexpert = true\n"),
              ElementsAre(AllOf(StartsWith("weft.toml:4:"), HasSubstr("not in this version"))));
  EXPECT_THAT(problems("[model]\npath=\"m\"\n[balancer]\nmode = \"hybrid\"\n"),
              ElementsAre(HasSubstr("not in this version")));
  EXPECT_THAT(problems("[model]\npath=\"m\"\n[timeouts]\nrejoin = \"3s\"\n"),
              ElementsAre(HasSubstr("not in this version")));
}

TEST(Config, OverridesWinAndNameThemselves) {
  const std::string text = "[model]\npath = \"m\"\n[parallel]\ndata = 2\n";
  const auto config =
      parse(text, {"parallel.data=4", "log.level=debug", "executor.config.cpus=0-1", "parallel.tensor = 2"});
  ASSERT_TRUE(config) << to_string(config.error());
  EXPECT_EQ(config->parallel.data, 4);
  EXPECT_EQ(config->parallel.tensor, 2);
  EXPECT_EQ(config->log.level, "debug");
  ASSERT_EQ(config->executor.options.size(), 1u);
  EXPECT_EQ(config->executor.options[0].where, "--set executor.config.cpus");
  EXPECT_THAT(problems(text, {"parallel.data=x"}),
              ElementsAre(StartsWith("--set parallel.data: [parallel] data: found string 'x'")));
  EXPECT_THAT(problems(text, {"parallel.dta=1"}),
              ElementsAre(StartsWith("--set parallel.dta: [parallel] unknown key 'dta'; did you mean 'data'?")));
  EXPECT_THAT(problems(text, {"data=1"}), ElementsAre(HasSubstr("--set table.key=value")));
  EXPECT_THAT(problems(text, {"parallel"}), ElementsAre(HasSubstr("--set table.key=value")));
  EXPECT_THAT(problems(text, {"model.path.x=1"}), ElementsAre(HasSubstr("'model.path' is not a table")));
  EXPECT_THAT(problems(text, {"nothing.at_all=1"}), ElementsAre(StartsWith("--set nothing")));
}

TEST(Config, APluginChosenByItsFileAloneHasNoName) {
  const std::string text = "[model]\npath = \"m\"\n";
  const auto alone = parse(text, {"executor.path=mine.so"});
  ASSERT_TRUE(alone) << to_string(alone.error());
  EXPECT_EQ(alone->executor.plugin, "");
  EXPECT_EQ(alone->executor.path, "/base/mine.so");
  EXPECT_EQ(alone->executor.where, "--set executor");
  const auto again = parse(print_config(*alone));
  ASSERT_TRUE(again) << to_string(again.error());
  EXPECT_EQ(hash_config(*again), hash_config(*alone));
  const auto both = parse(text, {"executor.path=mine.so", "executor.plugin=mine"});
  ASSERT_TRUE(both) << to_string(both.error());
  EXPECT_EQ(both->executor.plugin, "mine");
}

TEST(Config, WhatIsPrintedIsReadBackTheSame) {
  const auto config = parse(
      "[model]\npath = \"a \\\"b\\\"\\n\"\ndtype = \"f16\"\n[parallel]\nthreads = 2\n[engine]\nkv_memory = \"60%\"\n"
      "[executor]\n[executor.config]\ncpus = \"0-3\"\nlist = [\"a\", \"b\"]\nn = 3\nx = 2.0\nflag = "
      "true\n[timeouts]\nlease = \"1500ms\"\n");
  ASSERT_TRUE(config) << to_string(config.error());
  const std::string printed = print_config(*config);
  const auto again =
      parse_config({.text = printed, .name = "printed", .base_directory = "/elsewhere", .overrides = {}});
  ASSERT_TRUE(again) << to_string(again.error()) << printed;
  EXPECT_EQ(print_config(*again), printed);
  EXPECT_EQ(hash_config(*again), hash_config(*config));
  EXPECT_EQ(again->executor.options.size(), 5u);
}

TEST(Config, TheHashTellsConfigurationsApart) {
  const auto one = parse("[model]\npath = \"m\"\n");
  const auto two = parse("[model]\npath = \"m\"\n[parallel]\ndata = 2\n");
  const auto same = parse("# a comment\n[parallel]\ndata = 1\n[model]\npath = \"m\"\n");
  EXPECT_NE(hash_config(*one), hash_config(*two));
  EXPECT_EQ(hash_config(*one), hash_config(*same));
  EXPECT_EQ(hash_config(*one).size(), 32u);
}

TEST(Config, FilesThatCannotBeReadAreNamed) {
  const test::TemporaryDirectory directory;
  EXPECT_THAT(load_config(directory.file("none.toml"), {}).error(),
              ElementsAre(::testing::Field(&Problem::message, HasSubstr("no such file"))));
  EXPECT_THAT(load_config(directory.path(), {}).error(),
              ElementsAre(::testing::Field(&Problem::message, HasSubstr("not a regular file"))));
  const std::string path = directory.write("weft.toml", "[model]\npath = \"m\"\n");
  const auto config = load_config(path, {});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->model.path, directory.file("m"));
}

TEST(Config, HostileTextIsRefused) {
  EXPECT_EQ(problems(std::string(2u << 20, '#')).size(), 1u);
  EXPECT_EQ(problems("[model]\npath = " + std::string(100'000, '[') + "\n").size(), 1u);
  EXPECT_FALSE(problems(std::string("[model]\npath = \"a\0b\"\n", 21)).empty());
  EXPECT_FALSE(problems("[cluster]\nname = \"../x\"\n[model]\npath = \"m\"\n").empty());
  EXPECT_FALSE(problems("[model]\npath = \"m\"\n[engine]\nkv_memory = \"-1%\"\n").empty());
  EXPECT_FALSE(problems("[model]\npath = \"m\"\n[engine]\nkv_memory = \"101%\"\n").empty());
}

TEST(Config, EveryKeyIsDocumented) {
  for (const ConfigField& field : config_fields())
    EXPECT_FALSE(field.help.empty()) << field.table << "." << field.key;
}

}  // namespace
}  // namespace weft
