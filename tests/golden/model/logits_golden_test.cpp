// Logits in f32 at every position: max|a - b| <= 1e-4 max|b|, b from Hugging Face transformers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "engine/model/model_config.h"
#include "engine/weights/json_file.h"
#include "engine/weights/mapped_file.h"
#include "tests/golden/model/golden.h"
#include "tests/support/golden_report.h"

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

// The logits of the first case, position after position, as the model gives them.
Result<std::vector<std::vector<float>>> logits_of(ThreadReplica& replica, const std::vector<GoldenCase>& cases,
                                                  std::size_t positions) {
  std::vector<TokenId> ids = cases[0].prompt;
  ids.insert(ids.end(), cases[0].ids.begin(), cases[0].ids.end());
  EXPECT_GE(ids.size(), positions);
  std::vector<std::vector<float>> rows;
  for (std::size_t at = 0; at < std::min(positions, ids.size()); ++at) {
    engine::SequenceStep step;
    step.start = static_cast<std::int32_t>(at);
    step.tokens = {ids[at]};
    step.blocks = blocks_of(0, cases);
    step.sample = true;
    WEFT_ASSIGN(logits, replica.forward({.step = static_cast<std::int64_t>(at), .sequences = {step}}));
    const auto row = logits.row(0);
    rows.emplace_back(row.begin(), row.end());
  }
  return rows;
}

void expect_logits(const std::vector<std::vector<float>>& rows, std::span<const float> expected, GoldenReport& report) {
  for (std::size_t at = 0; at < rows.size(); ++at) {
    const auto wanted = expected.subspan(at * rows[at].size(), rows[at].size());
    float difference = 0;
    float largest = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      // A NaN would pass every comparison.
      difference = std::isnan(rows[at][i]) ? HUGE_VALF : std::max(difference, std::abs(rows[at][i] - wanted[i]));
      largest = std::max(largest, std::abs(wanted[i]));
    }
    EXPECT_TRUE(report.count(difference <= 1e-4f * largest))
        << "position " << at << ": off by " << difference << ", largest " << largest;
  }
}

// greedy.json's top5: [[id, log-probability], ...] for each position of the first prompt, rounded to 5 decimals.
void expect_top5(const std::vector<std::vector<float>>& rows, const nlohmann::json& top5, GoldenReport& report) {
  for (std::size_t at = 0; at < std::min(rows.size(), top5.size()); ++at) {
    const float largest = *std::max_element(rows[at].begin(), rows[at].end());
    double sum = 0;
    for (const float logit : rows[at])
      sum += std::exp(static_cast<double>(logit - largest));
    for (const auto& entry : top5[at]) {
      const double found = rows[at].at(entry.at(0).get<std::size_t>()) - largest - std::log(sum);
      EXPECT_TRUE(report.count(std::abs(found - entry.at(1).get<double>()) <= 2e-4 * std::max(1.0f, std::abs(largest))))
          << "position " << at << ", id " << entry.at(0) << ": " << found << ", expected " << entry.at(1);
    }
  }
}

class SharedLogits : public ::testing::TestWithParam<std::tuple<GoldenDevice, std::string, Layout>> {};

TEST_P(SharedLogits, AreThoseOfTransformersAtEveryPosition) {
  const auto& [device, model, layout] = GetParam();
  if (model == no_golden) WEFT_SKIP_WITHOUT_GOLDENS();
  const std::string directory = shared_path("models/" + model);
  GoldenReport report({.check = "logits", .family = family_of(directory, model), .tensor = layout.tensor});
  const auto config = engine::read_model_config(directory);
  if (is_family_to_come(config)) {
    report.skip();
    GTEST_SKIP() << "skipped: " << config.error().message;
  }
  ASSERT_TRUE(config) << config.error().message;
  if (config->shape.query_heads % layout.tensor != 0) {
    report.skip();
    GTEST_SKIP() << "skipped: " << layout.tensor << " ranks do not divide the heads";
  }
  const std::string greedy = shared_path("goldens/" + model + "/greedy.json");
  auto cases = read_golden(greedy);
  ASSERT_FALSE(cases.empty());
  cases.resize(1);
  const std::vector<float> expected = read_floats(shared_path("goldens/" + model + "/logits.f32"));
  const auto vocabulary = static_cast<std::size_t>(config->shape.vocabulary);
  ASSERT_EQ(expected.size() % vocabulary, 0u);
  ASSERT_FALSE(expected.empty());
  auto replica = load_replica(directory, device, layout, cases);
  ASSERT_TRUE(replica) << replica.error().message;
  const auto rows = logits_of(**replica, cases, expected.size() / vocabulary);
  ASSERT_TRUE(rows) << rows.error().message;
  expect_logits(*rows, expected, report);
  const auto file = engine::read_json_file(greedy, 16u << 20);
  ASSERT_TRUE(file) << file.error().message;
  if (file->contains("top5")) expect_top5(*rows, file->at("top5"), report);
}

INSTANTIATE_TEST_SUITE_P(Golden, SharedLogits,
                         ::testing::Combine(::testing::ValuesIn(golden_devices()),
                                            ::testing::ValuesIn(golden_models("logits.f32")),
                                            ::testing::Values(Layout{1, 1}, Layout{2, 1}, Layout{4, 1})),
                         [](const auto& test) {
                           return test_name(std::get<0>(test.param), std::get<1>(test.param), std::get<2>(test.param));
                         });

}  // namespace
}  // namespace weft::test
