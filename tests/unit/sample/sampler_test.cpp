#include "engine/sample/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "tests/unit/sample/naive_sampler.h"
#include "weft/sampling.h"

namespace weft::engine {
namespace {

using testing::HasSubstr;

struct Case {
  std::vector<float> logits;
  SamplingParams params;
  std::vector<TokenId> prompt;
  std::vector<TokenId> generated;
};

// Coarse logits have many ties, fine ones none; penalties and bias make values that no other token has.
Case random_case(std::mt19937& random, std::size_t vocabulary) {
  const auto between = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  const auto any_id = [&] { return static_cast<TokenId>(between(0, static_cast<int>(vocabulary) - 1)); };
  Case made;
  const bool coarse = between(0, 2) == 0;
  std::normal_distribution<float> normal(0, static_cast<float>(between(1, 6)));
  for (std::size_t i = 0; i < vocabulary; ++i)
    made.logits.push_back(coarse ? static_cast<float>(between(-4, 4)) * 0.5f : normal(random));
  const double temperatures[] = {0, 0.2, 0.7, 1, 1, 1.5};
  const std::int32_t top_ks[] = {0, 0, 1, 3, 10, 50, 1000};
  const double top_ps[] = {1, 1, 0.99, 0.95, 0.5, 0.01};
  const double min_ps[] = {0, 0, 0.02, 0.3, 1};
  made.params.temperature = temperatures[between(0, 5)];
  made.params.top_k = top_ks[between(0, 6)];
  made.params.top_p = top_ps[between(0, 5)];
  made.params.min_p = min_ps[between(0, 4)];
  if (between(0, 1) == 0) made.params.repetition_penalty = between(0, 1) == 0 ? 1.25 : 0.75;
  if (between(0, 1) == 0) made.params.presence_penalty = 0.5 * between(-2, 2);
  if (between(0, 1) == 0) made.params.frequency_penalty = 0.25 * between(-2, 4);
  for (int i = between(0, 6); i > 0; --i)
    made.prompt.push_back(any_id());
  for (int i = between(0, 9); i > 0; --i)
    made.generated.push_back(any_id());
  if (between(0, 2) == 0) made.params.logit_bias = {{any_id(), 2.0f}};
  made.params.seed = random();
  return made;
}

TEST(Sampler, KeepsWhatTheDefinitionKeepsOnRandomCases) {
  std::mt19937 random(5);
  Sampler sampler;  // one for all sizes: nothing of one call is left for the next
  for (int i = 0; i < 3000; ++i) {
    const std::size_t sizes[] = {1, 2, 7, 63, 64, 65, 200, 1500};
    const Case made = random_case(random, sizes[i % 8]);
    const auto expected = naive_survivors(made.logits, made.params, made.prompt, made.generated);
    std::vector<float> scratch = made.logits;
    const auto found = sampler.survivors(scratch, made.params, made.prompt, made.generated);
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), expected.size()) << "case " << i;
    auto at = expected.begin();
    for (const Candidate& candidate : *found) {
      ASSERT_EQ(candidate.id, at->first) << "case " << i;
      ASSERT_NEAR(candidate.probability, at->second, 1e-12) << "case " << i;
      ++at;
    }
  }
}

TEST(Sampler, DrawsByTheSharedMapOverCandidatesInAscendingId) {
  std::mt19937 random(6);
  Sampler sampler;
  for (int i = 0; i < 2000; ++i) {
    const Case made = random_case(random, 300);
    std::vector<TokenId> ids;
    std::vector<double> probabilities;
    for (const auto& [id, probability] : naive_survivors(made.logits, made.params, made.prompt, made.generated)) {
      ids.push_back(id);
      probabilities.push_back(probability);
    }
    std::vector<float> scratch = made.logits;
    const std::int64_t position = i * 977;
    EXPECT_EQ(sampler.sample(scratch, made.params, made.prompt, made.generated, i % 3, position).value(),
              ids[index_of_draw(probabilities, uniform_draw(made.params.seed, i % 3, position))]);
  }
}

TEST(Sampler, DrawsWithTheRightFrequencies) {
  std::mt19937 random(8);
  std::normal_distribution<float> normal(0, 1.5f);
  std::vector<float> logits(60);
  for (float& logit : logits)
    logit = normal(random);
  const std::vector<TokenId> prompt = {1, 2, 3, 4}, generated = {5, 6, 5, 5, 7};
  SamplingParams variants[6];
  variants[1] = {.temperature = 0.7, .top_p = 0.9, .logit_bias = {}};
  variants[2] = {.temperature = 1.3, .top_k = 12, .logit_bias = {}};
  variants[3] = {.temperature = 1.0, .min_p = 0.1, .repetition_penalty = 1.3, .logit_bias = {{3, 1.5f}}};
  variants[4] = {.temperature = 0.9, .presence_penalty = 0.8, .frequency_penalty = 0.4, .logit_bias = {}};
  variants[5] = {.top_k = 30, .top_p = 0.95, .repetition_penalty = 1.2, .frequency_penalty = -0.5, .logit_bias = {}};
  Sampler sampler;
  for (std::size_t variant = 0; variant < std::size(variants); ++variant) {
    SamplingParams& params = variants[variant];
    params.seed = 20240601;
    const auto expected = naive_survivors(logits, params, prompt, generated);
    std::map<TokenId, int> counts;
    constexpr int draws = 100000;
    std::vector<float> scratch;
    for (int i = 0; i < draws; ++i) {
      scratch = logits;
      // Over positions, and over choices at one position: both are counters of the same generator.
      const bool over_choices = variant % 2 == 1;
      ++counts[sampler.sample(scratch, params, prompt, generated, over_choices ? i : 0, over_choices ? 9 : i).value()];
    }
    double chi_square = 0;
    for (const auto& [id, probability] : expected) {
      const double wanted = probability * draws;
      ASSERT_GT(wanted, 5.0) << "too rare for the test";
      chi_square += (counts[id] - wanted) * (counts[id] - wanted) / wanted;
    }
    EXPECT_EQ(counts.size(), expected.size());
    // Wilson and Hilferty: the cube root of chi-square over its degrees of freedom is about normal. 3.7 sigma.
    const double freedom = static_cast<double>(expected.size()) - 1;
    const double sigma = std::sqrt(2 / (9 * freedom));
    EXPECT_LT((std::cbrt(chi_square / freedom) - (1 - 2 / (9 * freedom))) / sigma, 3.7) << chi_square;
  }
}

TEST(Sampler, TakesTheLowestIdAmongEqualsWhenGreedy) {
  SamplingParams greedy = {.temperature = 0, .logit_bias = {}};
  Sampler sampler;
  std::vector<float> logits(200, 1.0f);
  EXPECT_EQ(sampler.sample(logits, greedy, {}, {}, 0, 0).value(), 0);
  logits[150] = logits[77] = 4.0f;
  EXPECT_EQ(sampler.sample(logits, greedy, {}, {}, 0, 0).value(), 77);
  greedy.logit_bias = {{150, 1.0f}, {90, 4.0f}};
  EXPECT_EQ(sampler.sample(logits, greedy, {}, {}, 0, 0).value(), 90) << "5 and 5: an adjusted one is no better";
}

TEST(Sampler, DoesNotDependOnWhatItSampledBefore) {
  std::mt19937 random(9);
  const Case big = random_case(random, 5000);
  const Case small = random_case(random, 50);
  Sampler used;
  std::vector<float> scratch = big.logits;
  ASSERT_TRUE(used.sample(scratch, big.params, big.prompt, big.generated, 0, 0));
  std::vector<float> first = small.logits;
  std::vector<float> second = small.logits;
  EXPECT_EQ(used.sample(first, small.params, small.prompt, small.generated, 1, 2).value(),
            Sampler().sample(second, small.params, small.prompt, small.generated, 1, 2).value());
}

TEST(Sampler, SaysThatTheModelIsBrokenWhereLogitsAreNotNumbers) {
  Sampler sampler;
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const bool biased : {false, true}) {
      SamplingParams params;
      if (biased) params.logit_bias = {{40, 1.0f}};
      std::vector<float> logits(100, 0.0f);
      logits[40] = bad;
      const auto token = sampler.sample(logits, params, {}, {}, 0, 0);
      ASSERT_FALSE(token);
      EXPECT_EQ(token.error().code, ErrorCode::data_loss);
      EXPECT_THAT(token.error().message, HasSubstr("the model's output is broken"));
    }
  }
  std::vector<float> nothing(100, -std::numeric_limits<float>::infinity());
  EXPECT_FALSE(sampler.sample(nothing, {}, {}, {}, 0, 0));
  EXPECT_FALSE(sampler.sample({}, {}, {}, {}, 0, 0));
}

TEST(Sampler, LeavesMaskedTokensAndIdsOutsideTheVocabularyAlone) {
  std::vector<float> logits(10, -std::numeric_limits<float>::infinity());
  logits[4] = -2000.0f;
  SamplingParams params = {.temperature = 1e-320, .repetition_penalty = 1.5, .logit_bias = {{11, 1.0f}}};
  Sampler sampler;
  EXPECT_EQ(sampler.sample(logits, params, std::vector<TokenId>{-1, 10, 2}, std::vector<TokenId>{99}, 0, 0).value(), 4);
}

}  // namespace
}  // namespace weft::engine
