// The engine's forward pass against plain loops in double precision: every family, whole and split, batched, in chunks.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "kernels/cpu/cpu_device.h"
#include "kernels/reference/reference_device.h"
#include "tests/support/thread_replica.h"
#include "tests/unit/model/plain_forward.h"
#include "tests/unit/model/tiny_model.h"

namespace weft::test {
namespace {

using nlohmann::json;

struct Variant {
  const char* name;
  json changes;
};

json llama3_rope() {
  return {{"rope_type", "llama3"},  {"rope_theta", 100.0},     {"factor", 8.0},
          {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0}, {"original_max_position_embeddings", 32}};
}

std::vector<Variant> variants() {
  const json both_ropes = {{"full_attention", {{"rope_type", "linear"}, {"rope_theta", 1000.0}, {"factor", 2.0}}},
                           {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 10.0}}}};
  return {
      {"llama", json::object()},
      {"llama_tied_biased_scaled",
       {{"tie_word_embeddings", true},
        {"attention_bias", true},
        {"mlp_bias", true},
        {"rope_parameters", llama3_rope()}}},
      {"mistral", {{"architectures", {"MistralForCausalLM"}}, {"sliding_window", 3}}},
      {"qwen2",
       {{"architectures", {"Qwen2ForCausalLM"}},
        {"use_sliding_window", true},
        {"sliding_window", 2},
        {"max_window_layers", 1}}},
      {"qwen3", {{"architectures", {"Qwen3ForCausalLM"}}, {"attention_bias", true}}},
      {"phi3",
       {{"architectures", {"Phi3ForCausalLM"}},
        {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 100.0}, {"partial_rotary_factor", 0.5}}}}},
      {"gemma3",
       {{"architectures", {"Gemma3ForCausalLM"}},
        {"tie_word_embeddings", true},
        {"query_pre_attn_scalar", 11},
        {"sliding_window", 4},
        {"sliding_window_pattern", 3},
        {"rope_parameters", both_ropes},
        {"attn_logit_softcapping", 3.0},
        {"final_logit_softcapping", 5.0}}},
      {"mixtral",
       {{"architectures", {"MixtralForCausalLM"}},
        {"num_local_experts", 5},
        {"num_experts_per_tok", 2},
        {"sliding_window", 6}}},
      {"qwen3_moe",
       {{"architectures", {"Qwen3MoeForCausalLM"}},
        {"num_experts", 7},
        {"num_experts_per_tok", 3},
        {"moe_intermediate_size", 11},
        {"mlp_only_layers", {1}},
        {"norm_topk_prob", false}}},
      {"granitemoe",
       {{"architectures", {"GraniteMoeForCausalLM"}},
        {"attention_bias", true},
        {"tie_word_embeddings", true},
        {"num_local_experts", 4},
        {"num_experts_per_tok", 1},
        {"embedding_multiplier", 3.0},
        {"attention_multiplier", 0.2},
        {"residual_multiplier", 0.7},
        {"logits_scaling", 2.5}}},
      {"olmo2", {{"architectures", {"Olmo2ForCausalLM"}}, {"attention_bias", true}}},
  };
}

struct Split {
  std::int32_t tensor;
  std::int32_t pipeline;
};

const std::vector<std::pair<std::string, DeviceFactory>>& devices() {
  static const std::vector<std::pair<std::string, DeviceFactory>> all = {
      {"reference", make_reference_device}, {"cpu", [] { return make_cpu_device({.threads = 1}); }}};
  return all;
}

// Largest error over the largest logit.
double error_of(std::span<const float> found, const std::vector<double>& expected) {
  if (found.size() != expected.size()) return 1;
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(found[i]) - expected[i]));
    largest = std::max(largest, std::abs(expected[i]));
  }
  return difference / largest;
}

engine::SequenceStep rows(const std::vector<TokenId>& ids, std::int32_t first, std::int32_t end,
                          std::vector<std::int32_t> blocks) {
  engine::SequenceStep step;
  step.start = first;
  step.tokens.assign(ids.begin() + first, ids.begin() + end);
  step.blocks = std::move(blocks);
  step.sample = true;
  step.scored = end - first - 1;
  return step;
}

// Runs two sequences as a scheduler would: two prompts together, the first in chunks; then one decodes while the other
// prefills; then both go on. Every row, whether it is sampled or scored, must be within `tolerance` of plain loops in
// double precision; more are scored in a step than there is room for at once.
void expect_plain_logits(const json& changes, const DeviceFactory& device, Split split, DType dtype, double tolerance) {
  const TemporaryDirectory directory;
  ASSERT_NO_FATAL_FAILURE(write_tiny_model(directory, tiny_config(changes)));
  auto loaded =
      ThreadReplica::load({.model_directory = directory.path(),
                           .make_device = device,
                           .tensor = split.tensor,
                           .pipeline = split.pipeline,
                           .blocks = 10,
                           .runner = {.dtype = dtype, .block_size = 4, .max_batch_tokens = 16, .max_requests = 2}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  ThreadReplica& replica = **loaded;

  std::mt19937 random(7);
  std::vector<TokenId> a(14), b(9);
  for (TokenId& id : a)
    id = static_cast<TokenId>(random() % 31);
  for (TokenId& id : b)
    id = static_cast<TokenId>(random() % 31);
  const auto expected_a = plain_logits(directory.path(), a);
  const auto expected_b = plain_logits(directory.path(), b);
  const std::vector<std::int32_t> blocks_a = {7, 0, 9, 3}, blocks_b = {8, 1, 2};
  const std::vector<std::array<std::int32_t, 4>> steps = {{0, 5, 0, 3}, {5, 13, 3, 4}, {13, 14, 4, 9}};
  for (const auto& [a0, a1, b0, b1] : steps) {
    std::vector<std::pair<std::size_t, std::int32_t>> scored, wanted;
    for (std::int32_t row = a0; row + 1 < a1; ++row)
      wanted.emplace_back(0, row);
    for (std::int32_t row = b0; row + 1 < b1; ++row)
      wanted.emplace_back(1, row);
    const auto score = [&](std::size_t sequence, std::int32_t position, std::span<const float> row) {
      scored.emplace_back(sequence, position);
      const auto& expected = sequence == 0 ? expected_a : expected_b;
      EXPECT_LE(error_of(row, expected[static_cast<std::size_t>(position)]), tolerance) << "position " << position;
    };
    const auto logits =
        replica.forward({.step = a0, .sequences = {rows(a, a0, a1, blocks_a), rows(b, b0, b1, blocks_b)}}, score);
    ASSERT_TRUE(logits) << logits.error().message;
    EXPECT_EQ(scored, wanted);
    ASSERT_EQ(logits->samples, 2);
    EXPECT_LE(error_of(logits->row(0), expected_a[static_cast<std::size_t>(a1) - 1]), tolerance);
    EXPECT_LE(error_of(logits->row(1), expected_b[static_cast<std::size_t>(b1) - 1]), tolerance);
  }
}

class TinyModel : public ::testing::TestWithParam<std::tuple<std::size_t, Split, std::size_t>> {};

TEST_P(TinyModel, GivesTheLogitsOfPlainLoops) {
  const auto& [variant, split, device] = GetParam();
  expect_plain_logits(variants()[variant].changes, devices()[device].second, split, DType::f32, 2e-5);
}

std::string name_of(const ::testing::TestParamInfo<TinyModel::ParamType>& test) {
  const auto& [variant, split, device] = test.param;
  return fmt::format("{}_tp{}_pp{}_{}", variants()[variant].name, split.tensor, split.pipeline,
                     devices()[device].first);
}

// 31 ids and 17 columns over 3 and 6 ranks: uneven shards; 6 ranks share 3 KV heads.
INSTANTIATE_TEST_SUITE_P(Forward, TinyModel,
                         ::testing::Combine(::testing::Range<std::size_t>(0, variants().size()),
                                            ::testing::Values(Split{1, 1}, Split{3, 1}, Split{6, 1}, Split{1, 3},
                                                              Split{3, 2}),
                                            ::testing::Range<std::size_t>(0, devices().size())),
                         name_of);

// 8 and 11 bits of mantissa, through three layers of small random weights.
TEST(TinyModelIn16Bits, StaysNearPlainLoops) {
  for (const json& changes : {json::object(), json{{"architectures", {"Olmo2ForCausalLM"}}},
                              json{{"architectures", {"MixtralForCausalLM"}}, {"num_experts_per_tok", 8}}})
    for (const auto& device : devices())
      for (const Split split : {Split{1, 1}, Split{3, 2}}) {
        expect_plain_logits(changes, device.second, split, DType::bf16, 6e-2);
        expect_plain_logits(changes, device.second, split, DType::f16, 8e-3);
      }
}

}  // namespace
}  // namespace weft::test
