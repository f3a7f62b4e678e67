// Llama 2 and 3 and what shares their shape (stories, minimind2, weft-tiny): Touvron et al., arXiv 2302.13971
// and 2307.09288; Grattafiori et al., arXiv 2407.21783.
#include "engine/model/families/family.h"

namespace weft::engine {

void describe_llama(ConfigReader& reader, ModelConfig& config) {
  read_sizes(reader, config);
  read_one_rope(reader, config, 10000);
  config.decoder.activation = read_activation(reader, "hidden_act");
  const bool attention_bias = reader.flag_or("attention_bias", false);
  config.decoder.qkv_bias = attention_bias;
  config.decoder.output_bias = attention_bias;
  config.decoder.mlp_bias = reader.flag_or("mlp_bias", false);
  config.decoder.names = llama_tensor_names();
}

}  // namespace weft::engine
