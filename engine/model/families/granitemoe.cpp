// Granite 3 with experts (IBM, granitemoe in transformers): Llama with experts in place of each MLP, their matrices stacked in
// one tensor, and multipliers of embeddings, attention, branches and logits.
#include "engine/model/families/family.h"

namespace weft::engine {

void describe_granitemoe(ConfigReader& reader, ModelConfig& config) {
  read_sizes(reader, config);
  read_one_rope(reader, config, 10000);
  DecoderSpec& decoder = config.decoder;
  decoder.activation = read_activation(reader, "hidden_act");
  decoder.qkv_bias = decoder.output_bias = reader.flag_or("attention_bias", false);
  decoder.embedding_scale = reader.number_or("embedding_multiplier", 1, 1e-6, 1e6);
  decoder.attention_scale = reader.number_or("attention_multiplier", 1, 1e-6, 1e6);
  decoder.residual_scale = reader.number_or("residual_multiplier", 1, 1e-6, 1e6);
  decoder.logit_scale = 1 / reader.number_or("logits_scaling", 1, 1e-6, 1e6);
  decoder.names = llama_tensor_names();
  ExpertsSpec experts = read_experts(reader, config);
  const std::int64_t width = config.shape.intermediate;
  const char* gate_up = "model.layers.{}.block_sparse_moe.input_linear.weight";
  experts.router.tensor = "model.layers.{}.block_sparse_moe.router.layer.weight";
  experts.gate = {.tensor = gate_up, .tensor_rows = 2 * width, .stacked = true};
  experts.up = {.tensor = gate_up, .first_row = width, .tensor_rows = 2 * width, .stacked = true};
  experts.down = {.tensor = "model.layers.{}.block_sparse_moe.output_linear.weight", .stacked = true};
  decoder.experts = experts;
}

}  // namespace weft::engine
