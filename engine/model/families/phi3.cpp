// Phi-3 and Phi-4-mini (arXiv 2404.14219): Llama with fused projections and, in some, partial rope. Their long-context
// variants (rope type "longrope") are refused by read_one_rope().
#include "engine/model/families/family.h"

namespace weft::engine {

void describe_phi3(ConfigReader& reader, ModelConfig& config) {
  read_sizes(reader, config);
  read_one_rope(reader, config, 10000);
  if (reader.find("sliding_window") != nullptr)
    config.decoder.layers.assign(config.decoder.layers.size(), {.window = reader.size("sliding_window", INT32_MAX)});
  config.decoder.activation = read_activation(reader, "hidden_act");

  const ModelShape& shape = config.shape;
  const std::int64_t queries = std::int64_t{shape.query_heads} * shape.head_dim;
  const std::int64_t keys = std::int64_t{shape.kv_heads} * shape.head_dim;
  const auto fused = [](const char* tensor, std::int64_t first_row, std::int64_t rows) {
    return MatrixSource{.tensor = tensor, .first_row = first_row, .tensor_rows = rows};
  };
  TensorNames& names = config.decoder.names = llama_tensor_names();
  const char* qkv = "model.layers.{}.self_attn.qkv_proj.weight";
  names.query = fused(qkv, 0, queries + 2 * keys);
  names.key = fused(qkv, queries, queries + 2 * keys);
  names.value = fused(qkv, queries + keys, queries + 2 * keys);
  const char* gate_up = "model.layers.{}.mlp.gate_up_proj.weight";
  names.gate = fused(gate_up, 0, 2 * std::int64_t{shape.intermediate});
  names.up = fused(gate_up, shape.intermediate, 2 * std::int64_t{shape.intermediate});
}

}  // namespace weft::engine
