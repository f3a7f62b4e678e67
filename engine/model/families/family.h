// A family turns its config.json into a ModelConfig: sizes, DecoderSpec and tensor names. One file a family;
// families.cpp lists them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/config_reader.h"
#include "engine/model/model_config.h"

namespace weft::engine {

struct Family {
  std::string_view architecture;
  // Fills shape and decoder. Problems go to the reader; what it fills is not used if there are any.
  void (*describe)(ConfigReader& reader, ModelConfig& config);
};

std::span<const Family> families() noexcept;

void describe_gemma3(ConfigReader& reader, ModelConfig& config);
void describe_granitemoe(ConfigReader& reader, ModelConfig& config);
void describe_llama(ConfigReader& reader, ModelConfig& config);
void describe_mistral(ConfigReader& reader, ModelConfig& config);
void describe_mixtral(ConfigReader& reader, ModelConfig& config);
void describe_olmo2(ConfigReader& reader, ModelConfig& config);
void describe_phi3(ConfigReader& reader, ModelConfig& config);
void describe_qwen2(ConfigReader& reader, ModelConfig& config);
void describe_qwen3(ConfigReader& reader, ModelConfig& config);
void describe_qwen3_moe(ConfigReader& reader, ModelConfig& config);

// What the families have in common.

// transformers' defaults for keys that a config.json may leave out.
struct FamilyDefaults {
  bool tied_embeddings = false;
  std::int32_t head_dim = 0;  // 0: hidden_size / num_attention_heads
  double epsilon = 1e-6;      // of norms
};

// Sizes of the transformer, tied embeddings, norm epsilon and an attention scale of 1 / sqrt(head_dim).
void read_sizes(ConfigReader& reader, ModelConfig& config, FamilyDefaults defaults = {});
// "silu" and so on, under the family's key.
Activation read_activation(ConfigReader& reader, std::string_view key, std::string fallback = "silu");

struct RopeKeys {
  const nlohmann::json* object = nullptr;  // where scaling, and in transformers 5 theta, are; null: none
  std::string_view name;                   // of `object`, for messages
  std::string_view theta = "rope_theta";   // key of the base outside `object` (transformers 4)
  double default_theta = 10000;
};
RopeSpec read_rope(ConfigReader& reader, const ModelShape& shape, const RopeKeys& keys);
// One rope for all layers, from `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (transformers 4).
void read_one_rope(ConfigReader& reader, ModelConfig& config, double default_theta);

// `layer_types`, one flag a layer: whether its attention has a window. Empty where the key is absent.
std::vector<bool> sliding_layers(ConfigReader& reader, const ModelShape& shape);
// Qwen: whether some layers have a window, and how wide it is then.
bool uses_qwen_window(ConfigReader& reader);
std::int32_t read_qwen_window(ConfigReader& reader);
// Qwen 2 and 3: windows only under `use_sliding_window`, from layer `max_window_layers` on.
void read_qwen_windows(ConfigReader& reader, ModelConfig& config);

struct ExpertKeys {
  std::string_view count = "num_local_experts";
  std::int32_t default_count = 8;
  std::int32_t default_per_token = 2;
};
// How many experts there are and how many a token takes, into shape; every layer has them. Their shares are normalised and
// their tensors have no names yet.
ExpertsSpec read_experts(ConfigReader& reader, ModelConfig& config, ExpertKeys keys = {});

// The names that Llama gave its tensors and that most families kept.
TensorNames llama_tensor_names();

}  // namespace weft::engine
