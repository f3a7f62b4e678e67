// Qwen 3, dense (arXiv 2505.09388): Llama with a norm of each query and key head.
#include "engine/model/families/family.h"

namespace weft::engine {

void describe_qwen3(ConfigReader& reader, ModelConfig& config) {
  read_sizes(reader, config, {.head_dim = 128});
  read_one_rope(reader, config, 10000);
  read_qwen_windows(reader, config);
  DecoderSpec& decoder = config.decoder;
  decoder.activation = read_activation(reader, "hidden_act");
  decoder.qkv_bias = reader.flag_or("attention_bias", false);
  decoder.output_bias = decoder.qkv_bias;
  decoder.qk_norm = QkNorm::head;
  decoder.names = llama_tensor_names();
  decoder.names.query_norm = "model.layers.{}.self_attn.q_norm.weight";
  decoder.names.key_norm = "model.layers.{}.self_attn.k_norm.weight";
}

}  // namespace weft::engine
