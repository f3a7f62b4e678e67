// A family turns its config.json into a ModelConfig: sizes, DecoderSpec and tensor names. One file a family;
// families.cpp lists them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "engine/model/config_reader.h"
#include "engine/model/model_config.h"

namespace weft::engine {

struct Family {
  std::string_view architecture;
  // Fills shape and decoder. Problems go to the reader; what it fills is not used if there are any.
  void (*describe)(ConfigReader& reader, ModelConfig& config);
};

std::span<const Family> families() noexcept;

void describe_llama(ConfigReader& reader, ModelConfig& config);

// What the families have in common. Each reads keys that all of them spell the same way.

// Sizes of the transformer, tied embeddings (with the family's default), norm epsilon and attention scale.
void read_sizes(ConfigReader& reader, ModelConfig& config, bool tied_by_default);
// "silu" and so on, under the family's key.
Activation read_activation(ConfigReader& reader, std::string_view key);
// Rope from `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (transformers 4), the same
// in every layer.
void read_rope(ConfigReader& reader, ModelConfig& config, double default_theta);
// The names that Llama gave its tensors and that most families kept.
TensorNames llama_tensor_names();

}  // namespace weft::engine
