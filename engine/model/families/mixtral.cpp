// Mixtral (arXiv 2401.04088): Mistral with experts in place of each MLP, two of eight a token.
#include "engine/model/families/family.h"

namespace weft::engine {

void describe_mixtral(ConfigReader& reader, ModelConfig& config) {
  read_sizes(reader, config, {.epsilon = 1e-5});
  read_one_rope(reader, config, 1e6);
  if (reader.find("sliding_window") != nullptr)
    config.decoder.layers.assign(config.decoder.layers.size(), {.window = reader.size("sliding_window", INT32_MAX)});
  DecoderSpec& decoder = config.decoder;
  decoder.activation = read_activation(reader, "hidden_act");
  decoder.names = llama_tensor_names();
  ExpertsSpec experts = read_experts(reader, config);
  experts.router.tensor = "model.layers.{}.block_sparse_moe.gate.weight";
  experts.gate.tensor = "model.layers.{}.block_sparse_moe.experts.{e}.w1.weight";
  experts.up.tensor = "model.layers.{}.block_sparse_moe.experts.{e}.w3.weight";
  experts.down.tensor = "model.layers.{}.block_sparse_moe.experts.{e}.w2.weight";
  decoder.experts = experts;
}

}  // namespace weft::engine
