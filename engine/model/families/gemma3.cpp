// Gemma 3, text (arXiv 2503.19786): norms before and after each branch with weights of 1 + w, a norm of each query and
// key head, scaled embeddings, and layers with a window and a rope base of their own.
#include <cmath>

#include "engine/model/families/family.h"

namespace weft::engine {
namespace {

// The index in `ropes` is whether the layer slides.
void read_ropes(ConfigReader& reader, ModelConfig& config) {
  const auto* both = reader.find("rope_parameters");  // transformers 5: one object a kind of layer
  RopeKeys full{.object = reader.find("rope_scaling"), .name = "rope_scaling", .default_theta = 1e6};
  RopeKeys sliding{.object = nullptr, .name = "rope_scaling", .theta = "rope_local_base_freq", .default_theta = 1e4};
  if (both != nullptr) {
    if (!both->is_object() || !both->contains("full_attention") || !both->contains("sliding_attention")) {
      reader.problem("rope_parameters", both, "an object with full_attention and sliding_attention");
      return;
    }
    full.object = &both->at("full_attention");
    full.name = "rope_parameters.full_attention";
    sliding.object = &both->at("sliding_attention");
    sliding.name = "rope_parameters.sliding_attention";
  }
  config.decoder.ropes = {read_rope(reader, config.shape, full), read_rope(reader, config.shape, sliding)};
}

void read_layers(ConfigReader& reader, ModelConfig& config) {
  const std::int32_t window = reader.size_or("sliding_window", 4096, INT32_MAX);
  const std::vector<bool> sliding = sliding_layers(reader, config.shape);
  const char* key = reader.has("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern";
  // Every so manieth layer sees all; layer_types says more.
  const std::int32_t pattern = sliding.empty() ? reader.size_or(key, 6, INT32_MAX) : 1;
  for (std::size_t i = 0; i < config.decoder.layers.size(); ++i) {
    const bool slides = sliding.empty() ? (i + 1) % static_cast<std::size_t>(pattern) != 0 : sliding[i];
    config.decoder.layers[i] = {.rope = slides ? 1 : 0, .window = slides ? window : 0};
  }
}

}  // namespace

void describe_gemma3(ConfigReader& reader, ModelConfig& config) {
  read_sizes(reader, config, {.tied_embeddings = true, .head_dim = 256});
  read_ropes(reader, config);
  read_layers(reader, config);
  if (reader.flag_or("use_bidirectional_attention", false))
    reader.problem("use_bidirectional_attention", reader.find("use_bidirectional_attention"), "false");
  DecoderSpec& decoder = config.decoder;
  decoder.activation = read_activation(reader, "hidden_activation", "gelu_pytorch_tanh");
  decoder.qkv_bias = decoder.output_bias = reader.flag_or("attention_bias", false);
  decoder.norm.weight_offset = 1;
  decoder.qk_norm = QkNorm::head;
  decoder.embedding_scale = std::sqrt(static_cast<double>(config.shape.hidden));
  decoder.attention_scale = 1 / std::sqrt(reader.number_or("query_pre_attn_scalar", 256, 1e-3, 1e6));
  // attn_logit_softcapping is Gemma 2's: transformers reads it and caps nothing with it here.
  if (reader.find("final_logit_softcapping") != nullptr)  // null: none
    decoder.logit_soft_cap = reader.number("final_logit_softcapping", 0, 1e6);
  TensorNames& names = decoder.names = llama_tensor_names();
  names.query_norm = "model.layers.{}.self_attn.q_norm.weight";
  names.key_norm = "model.layers.{}.self_attn.k_norm.weight";
  names.attention_post_norm = "model.layers.{}.post_attention_layernorm.weight";
  names.mlp_norm = "model.layers.{}.pre_feedforward_layernorm.weight";
  names.mlp_post_norm = "model.layers.{}.post_feedforward_layernorm.weight";
}

}  // namespace weft::engine
