// Qwen 3 with experts (arXiv 2505.09388): Qwen 3 with experts in place of the MLP, in all layers or in some.
#include <algorithm>

#include "engine/model/families/family.h"

namespace weft::engine {
namespace {

// transformers 4 says num_experts, transformers 5 num_local_experts.
std::string_view count_key(const ConfigReader& reader) {
  const bool is_five = reader.find("num_local_experts") != nullptr || !reader.has("num_experts");
  return is_five ? "num_local_experts" : "num_experts";
}

// Layers with an MLP: those of `mlp_only_layers`, and those between every `decoder_sparse_step`-th.
bool dense_layers(ConfigReader& reader, ModelConfig& config) {
  const std::vector<std::int32_t> listed = reader.ids("mlp_only_layers");
  const std::int32_t step = reader.size_or("decoder_sparse_step", 1, INT32_MAX);
  bool any = false;
  for (std::size_t i = 0; i < config.decoder.layers.size(); ++i) {
    const auto index = static_cast<std::int32_t>(i);
    const bool dense = (index + 1) % step != 0 || std::find(listed.begin(), listed.end(), index) != listed.end();
    if (dense) config.decoder.layers[i].experts = false;
    any = any || dense;
  }
  return any;
}

}  // namespace

void describe_qwen3_moe(ConfigReader& reader, ModelConfig& config) {
  describe_qwen3(reader, config);
  DecoderSpec& decoder = config.decoder;
  // Unlike in Qwen 3, a window is every layer's.
  const std::int32_t window = uses_qwen_window(reader) ? read_qwen_window(reader) : 0;
  for (LayerSpec& layer : decoder.layers)
    layer.window = window;

  ExpertsSpec experts =
      read_experts(reader, config, {.count = count_key(reader), .default_count = 128, .default_per_token = 8});
  if (dense_layers(reader, config)) experts.dense_intermediate = config.shape.intermediate;
  config.shape.intermediate = reader.size_or("moe_intermediate_size", 768, 1 << 20);
  experts.normalize = reader.flag_or("norm_topk_prob", false);
  experts.router.tensor = "model.layers.{}.mlp.gate.weight";
  experts.gate.tensor = "model.layers.{}.mlp.experts.{e}.gate_proj.weight";
  experts.up.tensor = "model.layers.{}.mlp.experts.{e}.up_proj.weight";
  experts.down.tensor = "model.layers.{}.mlp.experts.{e}.down_proj.weight";
  decoder.experts = experts;
}

}  // namespace weft::engine
