// Logits in f32 at every position: max|a - b| <= 1e-4 max|b|, b from Hugging Face transformers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "engine/weights/mapped_file.h"
#include "tests/golden/model/golden.h"

namespace weft::test {
namespace {

std::vector<float> read_floats(const std::string& path) {
  const auto file = engine::MappedFile::open(path);
  EXPECT_TRUE(file) << file.error().message;
  if (!file) return {};
  std::vector<float> values(file->bytes().size() / sizeof(float));
  std::memcpy(values.data(), file->bytes().data(), values.size() * sizeof(float));
  return values;
}

class SharedLogits : public ::testing::TestWithParam<std::tuple<GoldenDevice, std::string>> {};

TEST_P(SharedLogits, AreThoseOfTransformersAtEveryPosition) {
  const auto& [device, model] = GetParam();
  const std::string expected_path = shared_path("goldens/" + model + "/logits.f32");
  if (!std::filesystem::exists(expected_path)) GTEST_SKIP() << "skipped: no shared data";
  auto cases = read_golden(shared_path("goldens/" + model + "/greedy.json"));
  ASSERT_FALSE(cases.empty());
  cases.resize(1);
  auto replica = load_replica(shared_path("models/" + model), device, {}, cases);
  ASSERT_TRUE(replica) << replica.error().message;
  const std::vector<float> expected = read_floats(expected_path);
  const auto vocabulary = static_cast<std::size_t>((*replica)->runner(0).config().shape.vocabulary);
  std::vector<TokenId> ids = cases[0].prompt;
  ids.insert(ids.end(), cases[0].ids.begin(), cases[0].ids.end());
  const std::size_t positions = expected.size() / vocabulary;
  ASSERT_GE(ids.size(), positions);
  for (std::size_t at = 0; at < positions; ++at) {
    engine::SequenceStep step;
    step.start = static_cast<std::int32_t>(at);
    step.tokens = {ids[at]};
    step.blocks = blocks_of(0, cases);
    step.sample = true;
    const auto logits = (*replica)->forward({.step = static_cast<std::int64_t>(at), .sequences = {step}});
    ASSERT_TRUE(logits) << logits.error().message;
    float difference = 0;
    float largest = 0;
    for (std::size_t i = 0; i < vocabulary; ++i) {
      const float wanted = expected[at * vocabulary + i];
      difference = std::max(difference, std::abs(logits->row(0)[i] - wanted));
      largest = std::max(largest, std::abs(wanted));
    }
    ASSERT_LE(difference, 1e-4f * largest) << "position " << at;
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, SharedLogits,
                         ::testing::Combine(::testing::ValuesIn(golden_devices()),
                                            ::testing::Values("stories260K", "tiny-gemma3", "tiny-llama3",
                                                              "tiny-mistral", "tiny-phi3", "tiny-qwen2", "tiny-qwen3")),
                         [](const auto& test) {
                           return test_name(std::get<0>(test.param), std::get<1>(test.param), {});
                         });

}  // namespace
}  // namespace weft::test
