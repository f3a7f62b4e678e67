// Greedy ids in f32 equal those of Hugging Face transformers, however the model is split and the prompt is cut.
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "engine/model/model_config.h"
#include "engine/model/rank_shape.h"
#include "tests/golden/model/golden.h"
#include "tests/support/golden_report.h"

namespace weft::test {
namespace {

struct Golden {
  std::string model;
  std::string directory;
  std::string file;
};

// Whether a model cannot be split like that, by the rules that docs/architecture.md states.
bool cannot_split(const ModelShape& shape, const Layout& layout) {
  return shape.query_heads % layout.tensor != 0 || layout.pipeline > shape.layers ||
         (shape.kv_heads % layout.tensor != 0 && layout.tensor % shape.kv_heads != 0);
}

Golden bundled() {
  const std::string root = WEFT_SOURCE_DIR;
  return {"weft-tiny", root + "/models/weft-tiny", root + "/tests/golden/data/weft-tiny-greedy.json"};
}

void expect_golden_ids(const Golden& golden, const GoldenDevice& device, Layout layout, std::int32_t chunk) {
  GoldenReport report(
      {.check = "greedy", .family = family_of(golden.directory, golden.model), .tensor = layout.tensor});
  const auto config = engine::read_model_config(golden.directory);
  if (is_family_to_come(config)) {
    report.skip();
    GTEST_SKIP() << "skipped: " << config.error().message;
  }
  ASSERT_TRUE(config) << config.error().message;
  if (cannot_split(config->shape, layout)) {
    const auto shape = engine::rank_shape(config->shape, {.tp_size = layout.tensor, .pp_size = layout.pipeline});
    ASSERT_FALSE(shape);
    EXPECT_EQ(shape.error().code, ErrorCode::invalid_argument) << shape.error().message;
    report.skip();
    return;
  }
  const double parameters =
      static_cast<double>(config->shape.weight_bytes) / static_cast<double>(size_of(config->shape.dtype));
  const auto cases = within_limit(read_golden(golden.file), device, parameters);
  ASSERT_FALSE(cases.empty());
  auto replica = load_replica(golden.directory, device, layout, cases);
  ASSERT_TRUE(replica) << replica.error().message;
  const auto ids = generate_greedily(**replica, cases, chunk);
  ASSERT_TRUE(ids) << ids.error().message;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ((*ids)[i], cases[i].ids) << "case " << i;
    report.count((*ids)[i] == cases[i].ids);
  }
}

class BundledModel : public ::testing::TestWithParam<std::tuple<GoldenDevice, Layout>> {};

TEST_P(BundledModel, GeneratesTheGoldenIds) {
  expect_golden_ids(bundled(), std::get<0>(GetParam()), std::get<1>(GetParam()), 1024);
}

// 8 ranks share 4 KV heads; two stages of 2 ranks.
INSTANTIATE_TEST_SUITE_P(Greedy, BundledModel,
                         ::testing::Combine(::testing::ValuesIn(golden_devices()),
                                            ::testing::Values(Layout{1, 1}, Layout{2, 1}, Layout{4, 1}, Layout{8, 1},
                                                              Layout{1, 2}, Layout{2, 2}, Layout{1, 4})),
                         [](const auto& test) {
                           return test_name(std::get<0>(test.param), "weft-tiny", std::get<1>(test.param));
                         });

class BundledModelInChunks : public ::testing::TestWithParam<GoldenDevice> {};

TEST_P(BundledModelInChunks, GeneratesTheGoldenIds) { expect_golden_ids(bundled(), GetParam(), {1, 1}, 5); }

INSTANTIATE_TEST_SUITE_P(Greedy, BundledModelInChunks, ::testing::ValuesIn(golden_devices()),
                         [](const auto& test) { return test.param.name; });

class SharedModel : public ::testing::TestWithParam<std::tuple<GoldenDevice, std::string, Layout>> {};

TEST_P(SharedModel, GeneratesTheGoldenIds) {
  const auto& [device, model, layout] = GetParam();
  if (model == no_golden) WEFT_SKIP_WITHOUT_GOLDENS();
  expect_golden_ids({model, shared_path("models/" + model), shared_path("goldens/" + model + "/greedy.json")}, device,
                    layout, 1024);
}

INSTANTIATE_TEST_SUITE_P(Greedy, SharedModel,
                         ::testing::Combine(::testing::ValuesIn(golden_devices()), ::testing::ValuesIn(golden_models()),
                                            ::testing::Values(Layout{1, 1}, Layout{2, 1}, Layout{4, 1}, Layout{1, 2},
                                                              Layout{2, 2})),
                         [](const auto& test) {
                           return test_name(std::get<0>(test.param), std::get<1>(test.param), std::get<2>(test.param));
                         });

}  // namespace
}  // namespace weft::test
