// Mistral 7B and its kin (arXiv 2310.06825): Llama with a sliding window in every layer, or in none.
#include "engine/model/families/family.h"

namespace weft::engine {

void describe_mistral(ConfigReader& reader, ModelConfig& config) {
  read_sizes(reader, config);
  read_one_rope(reader, config, 10000);
  // Absent means transformers' default; null means no window.
  if (!reader.has("sliding_window") || reader.find("sliding_window") != nullptr)
    config.decoder.layers.assign(config.decoder.layers.size(),
                                 {.window = reader.size_or("sliding_window", 4096, INT32_MAX)});
  config.decoder.activation = read_activation(reader, "hidden_act");
  config.decoder.names = llama_tensor_names();
}

}  // namespace weft::engine
