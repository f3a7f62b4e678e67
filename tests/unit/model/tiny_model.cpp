#include "tests/unit/model/tiny_model.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "engine/model/tensor_list.h"
#include "tests/support/safetensors_writer.h"

namespace weft::test {

nlohmann::json tiny_config(const nlohmann::json& changes) {
  nlohmann::json config = {
      {"architectures", {"LlamaForCausalLM"}},
      {"hidden_size", 20},
      {"intermediate_size", 17},
      {"num_hidden_layers", 3},
      {"num_attention_heads", 6},
      {"num_key_value_heads", 3},
      {"head_dim", 8},
      {"vocab_size", 31},
      {"max_position_embeddings", 64},
      {"rms_norm_eps", 1e-5},
      {"hidden_act", "silu"},
      {"tie_word_embeddings", false},
      {"dtype", "float32"},
      {"eos_token_id", 2},
      {"bos_token_id", 1},
      {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 100.0}}},
  };
  config.update(changes);
  return config;
}

void write_tiny_model(const TemporaryDirectory& directory, const nlohmann::json& config, std::uint32_t seed) {
  const auto parsed = engine::parse_model_config(config, nullptr);
  ASSERT_TRUE(parsed) << parsed.error().message;
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.3f);
  std::vector<NewTensor> tensors;
  for (const auto& [name, shape] : engine::expected_tensors(*parsed)) {
    std::size_t count = 1;
    for (const std::int64_t size : shape)
      count *= static_cast<std::size_t>(size);
    std::vector<float> values(count);
    for (float& value : values)
      value = normal(random);
    tensors.push_back({name, "F32", shape, bytes_of(values)});
  }
  directory.write("config.json", config.dump());
  directory.write("model.safetensors", safetensors_file(tensors));
}

}  // namespace weft::test
