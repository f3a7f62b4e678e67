// OLMo 2 (arXiv 2501.00656): norms after each branch and none before it, and a norm over all query heads and over all key heads
// of a token together.
#include "engine/model/families/family.h"

namespace weft::engine {

void describe_olmo2(ConfigReader& reader, ModelConfig& config) {
  read_sizes(reader, config, {.epsilon = 1e-5});
  read_one_rope(reader, config, 10000);
  DecoderSpec& decoder = config.decoder;
  decoder.activation = read_activation(reader, "hidden_act");
  decoder.qkv_bias = decoder.output_bias = reader.flag_or("attention_bias", false);
  decoder.qk_norm = QkNorm::full;
  TensorNames& names = decoder.names = llama_tensor_names();
  names.attention_norm.clear();
  names.attention_post_norm = "model.layers.{}.post_attention_layernorm.weight";
  names.mlp_norm.clear();
  names.mlp_post_norm = "model.layers.{}.post_feedforward_layernorm.weight";
  names.query_norm = "model.layers.{}.self_attn.q_norm.weight";
  names.key_norm = "model.layers.{}.self_attn.k_norm.weight";
}

}  // namespace weft::engine
