// Greedy ids in f32 equal those of Hugging Face transformers, however the model is split and the prompt is cut.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <tuple>

#include "engine/model/model_config.h"
#include "engine/model/rank_shape.h"
#include "tests/golden/model/golden.h"

namespace weft::test {
namespace {

void expect_golden_ids(const std::string& directory, const std::string& golden, Layout layout, std::int32_t chunk,
                       std::size_t first_cases) {
  auto cases = read_golden(golden);
  ASSERT_FALSE(cases.empty());
  cases.resize(std::min(cases.size(), first_cases));
  auto replica = load_replica(directory, layout, cases);
  ASSERT_TRUE(replica) << replica.error().message;
  const auto ids = generate_greedily(**replica, cases, chunk);
  ASSERT_TRUE(ids) << ids.error().message;
  for (std::size_t i = 0; i < cases.size(); ++i)
    EXPECT_EQ((*ids)[i], cases[i].ids) << "case " << i;
}

class BundledModel : public ::testing::TestWithParam<Layout> {};

TEST_P(BundledModel, GeneratesTheGoldenIds) {
  const std::string root = WEFT_SOURCE_DIR;
  expect_golden_ids(root + "/models/weft-tiny", root + "/tests/golden/data/weft-tiny-greedy.json", GetParam(), 1024,
                    1000);
}

// 8 ranks share 4 KV heads; two stages of 2 ranks.
INSTANTIATE_TEST_SUITE_P(Greedy, BundledModel,
                         ::testing::Values(Layout{1, 1}, Layout{2, 1}, Layout{4, 1}, Layout{8, 1}, Layout{1, 2},
                                           Layout{2, 2}, Layout{1, 4}),
                         [](const auto& test) { return name_of(test.param); });

TEST(BundledModel, GeneratesTheSameIdsFromPromptsInChunks) {
  const std::string root = WEFT_SOURCE_DIR;
  expect_golden_ids(root + "/models/weft-tiny", root + "/tests/golden/data/weft-tiny-greedy.json", {1, 1}, 5, 8);
}

class SharedModel : public ::testing::TestWithParam<std::tuple<std::string, Layout>> {};

TEST_P(SharedModel, GeneratesTheGoldenIds) {
  const auto& [model, layout] = GetParam();
  const std::string directory = shared_path("models/" + model);
  const std::string golden = shared_path("goldens/" + model + "/greedy.json");
  if (!std::filesystem::exists(golden)) GTEST_SKIP() << "skipped: no shared data";
  const auto config = engine::read_model_config(directory);
  ASSERT_TRUE(config) << config.error().message;
  if (config->shape.query_heads % layout.tensor != 0) {
    const auto shape = engine::rank_shape(config->shape, {.tp_size = layout.tensor});
    ASSERT_FALSE(shape);
    EXPECT_NE(shape.error().message.find("does not divide the"), std::string::npos) << shape.error().message;
    return;
  }
  expect_golden_ids(directory, golden, layout, 1024, 1000);
}

INSTANTIATE_TEST_SUITE_P(Greedy, SharedModel,
                         ::testing::Combine(::testing::Values("stories260K", "stories15M", "minimind2-small",
                                                              "tiny-gemma3", "tiny-mistral", "tiny-phi3", "tiny-qwen2",
                                                              "tiny-qwen3", "tiny-llama3", "weft-tiny"),
                                            ::testing::Values(Layout{1, 1}, Layout{2, 1}, Layout{4, 1}, Layout{2, 2})),
                         [](const auto& test) {
                           std::string name = std::get<0>(test.param) + "_" + name_of(std::get<1>(test.param));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace weft::test
