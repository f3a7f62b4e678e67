// Log-probabilities of prompts in f32: the five best at every position are those of Hugging Face transformers, however the
// model is split and the prompt is cut.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/model/rank_shape.h"
#include "engine/sample/logprobs.h"
#include "engine/weights/json_file.h"
#include "tests/golden/model/golden.h"

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

class SharedLogprobs : public ::testing::TestWithParam<std::tuple<std::string, std::int32_t>> {};

TEST_P(SharedLogprobs, AreThoseOfTransformersAtEveryPosition) {
  const auto& [model, tensor] = GetParam();
  const std::string golden = shared_path("goldens/" + model + "/greedy.json");
  if (!std::filesystem::exists(golden)) GTEST_SKIP() << "skipped: no shared data";
  const auto file = engine::read_json_file(golden, 16u << 20);
  ASSERT_TRUE(file) << file.error().message;
  const auto top5 = file->at("top5").get<std::vector<Best>>();
  auto cases = read_golden(golden);
  cases.resize(1);
  const std::string directory = shared_path("models/" + model);
  const auto config = engine::read_model_config(directory);
  ASSERT_TRUE(config) << config.error().message;
  if (!engine::rank_shape(config->shape, {.tp_size = tensor})) GTEST_SKIP() << "its heads do not divide";
  auto replica = load_replica(directory, golden_devices().back(), {.tensor = tensor}, cases);
  ASSERT_TRUE(replica) << replica.error().message;
  const auto scores = score(**replica, cases[0].prompt, blocks_of(0, cases));
  ASSERT_TRUE(scores) << scores.error().message;
  ASSERT_EQ(scores->size(), top5.size());
  for (std::size_t at = 0; at < top5.size(); ++at) {
    ASSERT_EQ((*scores)[at].best.size(), top5[at].size());
    for (std::size_t i = 0; i < top5[at].size(); ++i) {
      const auto& [id, logprob] = top5[at][i];
      EXPECT_NEAR((*scores)[at].best[i].logprob, logprob, tolerance) << "position " << at << ", place " << i;
      // Two that are closer to each other than the tolerance may stand in either order.
      const bool close = (i > 0 && top5[at][i - 1].second - logprob < tolerance) ||
                         (i + 1 < top5[at].size() && logprob - top5[at][i + 1].second < tolerance) ||
                         i + 1 == top5[at].size();
      if (!close) {
        EXPECT_EQ((*scores)[at].best[i].id, id) << "position " << at << ", place " << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, SharedLogprobs,
                         ::testing::Combine(::testing::Values("tiny-gemma3", "tiny-llama3", "tiny-mistral", "tiny-phi3",
                                                              "tiny-qwen2", "tiny-qwen3"),
                                            ::testing::Values(1, 2, 4)),
                         [](const auto& test) {
                           return test_name(golden_devices().back(), std::get<0>(test.param),
                                            {.tensor = std::get<1>(test.param)});
                         });

}  // namespace
}  // namespace weft::test
