#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/model/families/family.h"

namespace weft::engine {
namespace {

// Far above any model, far below what overflows a product of two of them times a type's size.
constexpr std::int32_t max_layers = 4096;
constexpr std::int32_t max_width = 1 << 20;
constexpr std::int32_t max_heads = 1 << 14;
constexpr std::int32_t max_head_dim = 1 << 12;
constexpr std::int32_t max_vocabulary = 1 << 24;
constexpr std::int32_t max_positions = 1 << 27;
constexpr std::int32_t min_positions = 2;  // a token of a prompt, and one that is generated
constexpr std::int32_t max_experts = 1 << 12;
constexpr std::int64_t max_experts_of_all_layers = 1 << 17;

// A null head_dim is Llama's way to say that the other sizes give it. A family with a default of its own has no meaning for it.
void read_head_dim(ConfigReader& reader, ModelShape& shape, std::int32_t family_default) {
  if (family_default != 0) {
    shape.head_dim = reader.size_or("head_dim", family_default, max_head_dim);
    return;
  }
  if (reader.find("head_dim") != nullptr) {
    shape.head_dim = reader.size("head_dim", max_head_dim);
    return;
  }
  shape.head_dim = std::max(shape.hidden / shape.query_heads, 1);
  const bool both_known = reader.trusts({"hidden_size", "num_attention_heads"});
  if (both_known && shape.hidden % shape.query_heads != 0)
    reader.problem("hidden_size", reader.find("hidden_size"),
                   fmt::format("a multiple of num_attention_heads, {} (there is no head_dim)", shape.query_heads));
  if (!reader.trusts({"hidden_size", "num_attention_heads"})) reader.distrust("head_dim");
}

}  // namespace

void read_sizes(ConfigReader& reader, ModelConfig& config, FamilyDefaults defaults) {
  ModelShape& shape = config.shape;
  shape.layers = reader.size("num_hidden_layers", max_layers);
  shape.hidden = reader.size("hidden_size", max_width);
  shape.intermediate = reader.size("intermediate_size", max_width);
  shape.query_heads = reader.size("num_attention_heads", max_heads);
  const bool has_kv_heads = reader.find("num_key_value_heads") != nullptr;  // null: as many as query heads
  shape.kv_heads = has_kv_heads ? reader.size("num_key_value_heads", max_heads) : shape.query_heads;
  shape.vocabulary = reader.size("vocab_size", max_vocabulary);
  shape.max_context = reader.size("max_position_embeddings", max_positions, min_positions);
  read_head_dim(reader, shape, defaults.head_dim);
  if (reader.trusts({"num_attention_heads", "num_key_value_heads"}) && shape.query_heads % shape.kv_heads != 0)
    reader.problem("num_attention_heads", reader.find("num_attention_heads"),
                   fmt::format("a multiple of num_key_value_heads, {}", shape.kv_heads));
  shape.tied_embeddings = reader.flag_or("tie_word_embeddings", defaults.tied_embeddings);

  DecoderSpec& decoder = config.decoder;
  decoder.norm.epsilon = reader.number_or("rms_norm_eps", defaults.epsilon, 0, 1);
  decoder.attention_scale = 1 / std::sqrt(static_cast<double>(shape.head_dim));
  decoder.layers.assign(static_cast<std::size_t>(shape.layers), LayerSpec{});
}

Activation read_activation(ConfigReader& reader, std::string_view key, std::string fallback) {
  constexpr const char* expected = "silu, gelu or gelu_pytorch_tanh";
  const std::string name = reader.text_or(key, std::move(fallback), expected);
  if (name == "silu" || name == "swish") return Activation::silu;
  if (name == "gelu") return Activation::gelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return Activation::gelu_tanh;
  reader.problem(key, reader.find(key), expected);
  return Activation::silu;
}

std::vector<bool> sliding_layers(ConfigReader& reader, const ModelShape& shape) {
  std::vector<bool> sliding;
  const auto* types = reader.find("layer_types");
  if (types == nullptr) return sliding;
  constexpr const char* kinds = "full_attention or sliding_attention";
  if (!types->is_array()) {
    reader.problem("layer_types", types, fmt::format("a list with {} for each layer", kinds));
    return sliding;
  }
  for (std::size_t i = 0; i < types->size(); ++i) {
    const auto& type = (*types)[i];
    if (type != "full_attention" && type != "sliding_attention") {
      reader.problem(fmt::format("layer_types[{}]", i), &type, kinds);
      return {};  // what is wrong with one is wrong with a hundred
    }
    sliding.push_back(type == "sliding_attention");
  }
  if (!reader.trusts({"num_hidden_layers"})) return {};
  if (sliding.size() == static_cast<std::size_t>(shape.layers)) return sliding;
  reader.problem(fmt::format("'layer_types' has {} entries, expected one a layer, {}", sliding.size(), shape.layers));
  return {};
}

bool uses_qwen_window(ConfigReader& reader) {
  const bool is_null = reader.has("sliding_window") && reader.find("sliding_window") == nullptr;
  return reader.flag_or("use_sliding_window", false) && !is_null;
}

std::int32_t read_qwen_window(ConfigReader& reader) { return reader.size_or("sliding_window", 4096, INT32_MAX); }

void read_qwen_windows(ConfigReader& reader, ModelConfig& config) {
  const bool used = uses_qwen_window(reader);
  const std::vector<bool> sliding = sliding_layers(reader, config.shape);
  if (!used) return;
  const std::int32_t window = read_qwen_window(reader);
  const std::int32_t first = reader.size_or("max_window_layers", 28, INT32_MAX, 0);
  for (std::size_t i = 0; i < config.decoder.layers.size(); ++i) {
    const bool slides = sliding.empty() ? static_cast<std::int32_t>(i) >= first : sliding[i];
    if (slides) config.decoder.layers[i].window = window;
  }
}

ExpertsSpec read_experts(ConfigReader& reader, ModelConfig& config, ExpertKeys keys) {
  ModelShape& shape = config.shape;
  shape.experts = reader.size_or(keys.count, keys.default_count, max_experts);
  shape.experts_per_token = reader.size_or("num_experts_per_tok", keys.default_per_token, max_experts);
  if (reader.trusts({keys.count, "num_experts_per_tok"}) && shape.experts_per_token > shape.experts)
    reader.problem("num_experts_per_tok", reader.find("num_experts_per_tok"),
                   fmt::format("at most the number of experts, {}", shape.experts));
  if (reader.trusts({keys.count, "num_hidden_layers"}) &&
      std::int64_t{shape.experts} * shape.layers > max_experts_of_all_layers)
    reader.problem(keys.count, reader.find(keys.count),
                   fmt::format("at most {} experts in all layers together", max_experts_of_all_layers));
  for (LayerSpec& layer : config.decoder.layers)
    layer.experts = true;
  return {};
}

TensorNames llama_tensor_names() {
  const auto matrix = [](const char* name) { return MatrixSource{.tensor = name}; };
  return {
      .embedding = "model.embed_tokens.weight",
      .final_norm = "model.norm.weight",
      .head = "lm_head.weight",
      .attention_norm = "model.layers.{}.input_layernorm.weight",
      .mlp_norm = "model.layers.{}.post_attention_layernorm.weight",
      .query = matrix("model.layers.{}.self_attn.q_proj.weight"),
      .key = matrix("model.layers.{}.self_attn.k_proj.weight"),
      .value = matrix("model.layers.{}.self_attn.v_proj.weight"),
      .output = matrix("model.layers.{}.self_attn.o_proj.weight"),
      .gate = matrix("model.layers.{}.mlp.gate_proj.weight"),
      .up = matrix("model.layers.{}.mlp.up_proj.weight"),
      .down = matrix("model.layers.{}.mlp.down_proj.weight"),
      // Buffers that old versions of transformers saved though they follow from config.json.
      .ignored = {"model.layers.{}.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"},
  };
}

}  // namespace weft::engine
