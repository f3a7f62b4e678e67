// Log-probabilities of prompts in f32: the five best at every position are those of Hugging Face transformers, however the
// model is split and the prompt is cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/model/model_config.h"
#include "engine/sample/logprobs.h"
#include "engine/weights/json_file.h"
#include "tests/golden/model/golden.h"
#include "tests/support/golden_report.h"

namespace weft::test {
namespace {

using Best = std::vector<std::pair<TokenId, double>>;

constexpr std::int32_t best_count = 5;
// The files are rounded to five places; sums in another order move a logit by some 1e-6 of the largest.
constexpr double tolerance = 1e-4;

// By position of the prompt. Chunks of 7: the ends of a prompt's parts are scored too.
Result<std::vector<TokenLogprobs>> score(ThreadReplica& replica, const std::vector<TokenId>& prompt,
                                         const std::vector<std::int32_t>& blocks) {
  std::vector<TokenLogprobs> scores;
  Status failed;
  const auto add = [&](TokenId next, std::span<const float> logits) {
    auto one = engine::logprobs_of(logits, next, best_count);
    if (one) return scores.push_back(std::move(*one));
    failed = fail(one.error());
  };
  const auto size = static_cast<std::int32_t>(prompt.size());
  for (std::int32_t start = 0; start < size; start += 7) {
    engine::SequenceStep step;
    step.request = 1;
    step.start = start;
    const std::int32_t end = std::min(start + 7, size);
    step.tokens.assign(prompt.begin() + start, prompt.begin() + end);
    step.blocks = blocks;
    step.sample = end == size;
    step.scored = std::min(end, size - 1) - start;
    const auto sink = [&](std::size_t, std::int32_t position, std::span<const float> logits) {
      EXPECT_EQ(position, static_cast<std::int32_t>(scores.size())) << "a position twice, or one left out";
      add(prompt[static_cast<std::size_t>(position) + 1], logits);
    };
    WEFT_ASSIGN(logits, replica.forward({.step = start, .sequences = {step}}, sink));
    if (step.sample) add(0, logits.row(0));
  }
  WEFT_TRY(failed);
  return scores;
}

// The same values place by place, and the same ids but where two stand closer to each other than the tolerance.
bool agree(const std::vector<TokenLogprob>& found, const Best& expected) {
  if (found.size() != expected.size()) return false;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto near = [&](std::size_t other) {
      return std::abs(expected[other].second - expected[i].second) < tolerance;
    };
    const bool close = (i > 0 && near(i - 1)) || i + 1 == found.size() || near(i + 1);
    if (!(std::abs(found[i].logprob - expected[i].second) <= tolerance)) return false;
    if (!close && found[i].id != expected[i].first) return false;
  }
  return true;
}

class SharedLogprobs : public ::testing::TestWithParam<std::tuple<std::string, std::int32_t>> {};

TEST_P(SharedLogprobs, AreThoseOfTransformersAtEveryPosition) {
  const auto& [model, tensor] = GetParam();
  if (model == no_golden) WEFT_SKIP_WITHOUT_GOLDENS();
  const std::string directory = shared_path("models/" + model);
  const std::string golden = shared_path("goldens/" + model + "/greedy.json");
  GoldenReport report({.check = "logprobs", .family = family_of(directory, model), .tensor = tensor});
  const auto file = engine::read_json_file(golden, 16u << 20);
  ASSERT_TRUE(file) << file.error().message;
  const auto config = engine::read_model_config(directory);
  if (is_family_to_come(config) || !file->contains("top5")) {
    report.skip();
    GTEST_SKIP() << "skipped: " << (config ? "no top5 in greedy.json" : config.error().message);
  }
  ASSERT_TRUE(config) << config.error().message;
  if (config->shape.query_heads % tensor != 0) {
    report.skip();
    GTEST_SKIP() << "skipped: " << tensor << " ranks do not divide the heads";
  }
  auto cases = read_golden(golden);
  ASSERT_FALSE(cases.empty());
  cases.resize(1);
  auto replica = load_replica(directory, golden_devices().back(), {.tensor = tensor}, cases);
  ASSERT_TRUE(replica) << replica.error().message;
  const auto scores = score(**replica, cases[0].prompt, blocks_of(0, cases));
  ASSERT_TRUE(scores) << scores.error().message;
  const auto top5 = file->at("top5").get<std::vector<Best>>();
  ASSERT_EQ(scores->size(), top5.size());
  for (std::size_t at = 0; at < top5.size(); ++at)
    EXPECT_TRUE(report.count(agree((*scores)[at].best, top5[at]))) << "position " << at;
}

INSTANTIATE_TEST_SUITE_P(Golden, SharedLogprobs,
                         ::testing::Combine(::testing::ValuesIn(golden_models()), ::testing::Values(1, 2, 4)),
                         [](const auto& test) {
                           return test_name(golden_devices().back(), std::get<0>(test.param),
                                            {.tensor = std::get<1>(test.param)});
                         });

}  // namespace
}  // namespace weft::test
