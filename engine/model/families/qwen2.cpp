// Qwen 2 and 2.5 (arXiv 2407.10671): Llama with biases on queries, keys and values.
#include "engine/model/families/family.h"

namespace weft::engine {

void describe_qwen2(ConfigReader& reader, ModelConfig& config) {
  read_sizes(reader, config);
  read_one_rope(reader, config, 10000);
  read_qwen_windows(reader, config);
  config.decoder.activation = read_activation(reader, "hidden_act");
  config.decoder.qkv_bias = true;
  config.decoder.names = llama_tensor_names();
}

}  // namespace weft::engine
