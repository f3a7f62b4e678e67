// `weft bench kernels`.
#include <algorithm>
#include <csignal>
#include <map>
#include <set>

#include "tests/integration/bench/bench_command.h"

namespace weft::test {
namespace {

TEST_F(BenchTest, KernelsAreTheModelsShapesBesideTheirOwnLimits) {
  const Json found = report("kernels", {"--batch", "1,3", "--prompt-tokens", "16", "--context", "40"});
  EXPECT_EQ(found["device"]["threads"], 1);
  // weft-tiny: hidden 256, 8 heads of 32 over 4, 512 columns, vocabulary 2048; bf16.
  const std::map<std::string, std::pair<int, int>> shapes = {{"qkv", {512, 256}},
                                                             {"output", {256, 256}},
                                                             {"gate_up", {1024, 256}},
                                                             {"down", {256, 512}},
                                                             {"head", {2048, 256}}};
  std::set<std::string> seen;
  for (const Json& each : found["kernels"]) {
    const std::string name = each["name"];
    const int rows = each["rows"];
    seen.insert(each["kind"].get<std::string>() + " " + name + " " + std::to_string(rows));
    for (const char* key : {"seconds", "read_limit_bytes_per_second", "multiply_add_limit_flops_per_second"})
      expect_spread(each[key], name + " " + key);
    if (each["kind"] == "linear") {
      ASSERT_TRUE(shapes.contains(name)) << name;
      const auto [outputs, columns] = shapes.at(name);
      EXPECT_EQ(each["outputs"], outputs) << name;
      EXPECT_EQ(each["columns"], columns) << name;
      EXPECT_EQ(each["bytes"], 2.0 * outputs * columns) << name;
      EXPECT_EQ(each["operations"], 2.0 * rows * outputs * columns) << name;
    } else {
      const bool decode = name == "decode";
      EXPECT_EQ(each["outputs"], 256);
      EXPECT_EQ(each["columns"], decode ? 40 : 16);
      const double pairs = decode ? rows * 40 : 16 * 17 / 2;
      EXPECT_EQ(each["operations"], 4 * 256 * pairs);
      EXPECT_EQ(each["bytes"], 2.0 * 4 * 32 * 2 * (decode ? 40 * rows : 16)) << "keys and values of four heads of 32";
    }
    const double seconds = each["seconds"]["median"];
    expect_close(each["share_of_reads"],
                 each["bytes"].get<double>() / seconds / each["read_limit_bytes_per_second"]["median"].get<double>(),
                 name);
    expect_close(each["share_of_multiply_adds"],
                 each["operations"].get<double>() / seconds /
                     each["multiply_add_limit_flops_per_second"]["median"].get<double>(),
                 name);
    EXPECT_EQ(each["share_of_limit"], std::max(each["share_of_reads"], each["share_of_multiply_adds"]));
    EXPECT_EQ(each["limit"], each["share_of_reads"] >= each["share_of_multiply_adds"] ? "reads" : "multiply_adds");
  }
  EXPECT_EQ(seen, (std::set<std::string>{"attention decode 1", "attention decode 3", "attention prefill 16",
                                         "linear down 1", "linear down 16", "linear down 3", "linear gate_up 1",
                                         "linear gate_up 16", "linear gate_up 3", "linear head 1", "linear head 3",
                                         "linear output 1", "linear output 16", "linear output 3", "linear qkv 1",
                                         "linear qkv 16", "linear qkv 3"}));
}

TEST_F(BenchTest, KernelsOfATensorSplitAreOneRanksPart) {
  const Json found = report("kernels", {"--batch", "1", "--prompt-tokens", "4", "--context", "8", "--set",
                                        "parallel.tensor=2", "--set", "device.plugin=reference"});
  EXPECT_EQ(found["plugins"]["device"], "reference");
  const Json& kernels = found["kernels"];
  const auto qkv = std::find_if(kernels.begin(), kernels.end(), [](const Json& each) { return each["name"] == "qkv"; });
  ASSERT_NE(qkv, kernels.end());
  EXPECT_EQ((*qkv)["outputs"], 256);
}

TEST_F(BenchTest, KernelsRefuseWhatIsNoNumber) {
  for (const std::string wrong : {"0", "-1", "1,x", "99999"}) {
    const Ended ended = run(of_tiny("kernels", {"--batch", wrong}));
    EXPECT_EQ(ended.code, 2) << wrong << ": " << ended.err;
    EXPECT_THAT(ended.err, HasSubstr("--batch")) << wrong;
  }
}

TEST_F(BenchTest, ACtrlCEndsKernelsToo) {
  Child child = start(of_tiny("kernels", {"--repeat", "1000"}));
  ASSERT_TRUE(child.wait_for("measuring")) << child.err();
  child.signal_group(SIGINT);
  EXPECT_EQ(child.wait(), 130) << child.err();
  EXPECT_THAT(child.err(), HasSubstr("interrupted: there are no figures"));
}

}  // namespace
}  // namespace weft::test
