#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/sample/sampler.h"
#include "engine/sample/validate.h"
#include "tests/support/golden_report.h"
#include "tests/support/goldens.h"

namespace weft::engine {
namespace {

SamplingParams params_of(const nlohmann::json& made) {
  SamplingParams params = {.temperature = made.at("temperature"),
                           .top_k = made.at("top_k"),
                           .top_p = made.at("top_p"),
                           .min_p = made.at("min_p"),
                           .repetition_penalty = made.at("repetition_penalty"),
                           .presence_penalty = made.at("presence_penalty"),
                           .frequency_penalty = made.at("frequency_penalty"),
                           .logit_bias = {}};
  for (const auto& [id, bias] : made.at("logit_bias").items())
    params.logit_bias.emplace_back(std::stoi(id), bias.get<float>());
  return params;
}

// Whether exactly the golden's tokens survive, each with its probability.
bool keeps_survivors(Sampler& sampler, const nlohmann::json& made) {
  auto logits = made.at("logits").get<std::vector<float>>();
  const SamplingParams params = params_of(made);
  EXPECT_TRUE(validate(params, {}, {.vocabulary = static_cast<std::int32_t>(logits.size())}));
  const auto found = sampler.survivors(logits, params, made.at("prompt_ids").get<std::vector<TokenId>>(),
                                       made.at("output_ids").get<std::vector<TokenId>>());
  EXPECT_TRUE(found) << found.error().message;
  const nlohmann::json& survivors = made.at("survivors");
  if (!found || found->size() != survivors.size()) return false;
  for (const Candidate& candidate : *found) {
    const auto expected = survivors.find(std::to_string(candidate.id));
    if (expected == survivors.end() || std::abs(candidate.probability - expected->get<double>()) > 1e-5) return false;
  }
  return true;
}

class SamplerGolden : public testing::TestWithParam<std::string> {};

TEST_P(SamplerGolden, KeepsTheSurvivorsOfEveryCase) {
  if (GetParam() == test::no_golden) WEFT_SKIP_WITHOUT_GOLDENS();
  test::GoldenReport report({.check = "sampling", .family = GetParam()});
  std::ifstream file(test::shared_path("goldens/sampling/" + GetParam()));
  const nlohmann::json cases = nlohmann::json::parse(file, nullptr, false);
  ASSERT_TRUE(cases.is_array());
  ASSERT_FALSE(cases.empty());
  Sampler sampler;
  for (std::size_t i = 0; i < cases.size(); ++i)
    EXPECT_TRUE(report.count(keeps_survivors(sampler, cases[i]))) << "case " << i;
}

INSTANTIATE_TEST_SUITE_P(Shared, SamplerGolden, testing::ValuesIn(test::golden_files("goldens/sampling")),
                         [](const auto& test) { return test::as_test_name(test.param); });

}  // namespace
}  // namespace weft::engine
