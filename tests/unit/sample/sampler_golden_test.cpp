#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/sample/sampler.h"
#include "engine/sample/validate.h"

namespace weft::engine {
namespace {

std::filesystem::path shared_folder() {
  const char* set = std::getenv("WEFT_SHARED");
  return set != nullptr ? std::filesystem::path(set) : std::filesystem::path(WEFT_SOURCE_DIR).parent_path() / "shared";
}

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

TEST(SamplerGolden, KeepsTheSurvivorsOfEveryCase) {
  std::ifstream file(shared_folder() / "goldens/sampling/cases.json");
  if (!file) GTEST_SKIP() << "skipped: no shared data";
  const nlohmann::json cases = nlohmann::json::parse(file);
  ASSERT_FALSE(cases.empty());
  Sampler sampler;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE("case " + std::to_string(i));
    const nlohmann::json& made = cases[i];
    auto logits = made.at("logits").get<std::vector<float>>();
    const SamplingParams params = params_of(made);
    EXPECT_TRUE(validate(params, {}, static_cast<std::int32_t>(logits.size())));
    const auto found = sampler.survivors(logits, params, made.at("prompt_ids").get<std::vector<TokenId>>(),
                                         made.at("output_ids").get<std::vector<TokenId>>());
    ASSERT_TRUE(found);
    const nlohmann::json& survivors = made.at("survivors");
    EXPECT_EQ(found->size(), survivors.size());
    for (const Candidate& candidate : *found) {
      const std::string id = std::to_string(candidate.id);
      ASSERT_TRUE(survivors.contains(id)) << id;
      EXPECT_NEAR(candidate.probability, survivors.at(id).get<double>(), 1e-5) << id;
    }
  }
}

}  // namespace
}  // namespace weft::engine
