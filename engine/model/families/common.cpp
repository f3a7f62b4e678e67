#include <fmt/format.h>

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

RopeSpec::Scaling read_scaling(ConfigReader& rope, std::string_view key) {
  const std::string type = rope.text_or(key, "default");
  if (type == "default") return RopeSpec::Scaling::none;
  if (type == "linear") return RopeSpec::Scaling::linear;
  if (type == "llama3") return RopeSpec::Scaling::llama3;
  rope.problem(key, rope.find(key), "default, linear or llama3");
  return RopeSpec::Scaling::none;
}

void read_scaling_values(ConfigReader& rope, std::int32_t context, RopeSpec& spec) {
  if (spec.scaling == RopeSpec::Scaling::none) return;
  spec.factor = rope.number("factor", 1, 1e6);
  if (spec.scaling != RopeSpec::Scaling::llama3) return;
  spec.low_frequency_factor = rope.number("low_freq_factor", 1e-3, 1e6);
  spec.high_frequency_factor = rope.number("high_freq_factor", 1e-3, 1e6);
  spec.original_context = rope.size_or("original_max_position_embeddings", context, max_positions);
  if (spec.high_frequency_factor <= spec.low_frequency_factor)
    rope.problem("high_freq_factor", rope.find("high_freq_factor"),
                 fmt::format("more than low_freq_factor, {}", spec.low_frequency_factor));
}

void set_dimensions(ConfigReader& reader, const ModelShape& shape, double share, RopeSpec& spec) {
  spec.dimensions = static_cast<std::int32_t>(shape.head_dim * share);
  if (spec.dimensions < 2 || spec.dimensions % 2 != 0)
    reader.problem(fmt::format("rope turns {} of a head's {} elements, expected an even number from 2",
                               spec.dimensions, shape.head_dim));
}

}  // namespace

void read_sizes(ConfigReader& reader, ModelConfig& config, bool tied_by_default) {
  ModelShape& shape = config.shape;
  shape.layers = reader.size("num_hidden_layers", max_layers);
  shape.hidden = reader.size("hidden_size", max_width);
  shape.intermediate = reader.size("intermediate_size", max_width);
  shape.query_heads = reader.size("num_attention_heads", max_heads);
  shape.kv_heads = reader.size_or("num_key_value_heads", shape.query_heads, max_heads);
  shape.vocabulary = reader.size("vocab_size", max_vocabulary);
  shape.max_context = reader.size("max_position_embeddings", max_positions);
  if (reader.find("head_dim") != nullptr) {
    shape.head_dim = reader.size("head_dim", max_head_dim);
  } else {
    shape.head_dim = shape.hidden / shape.query_heads;
    if (shape.hidden % shape.query_heads != 0)
      reader.problem(
          "hidden_size", reader.find("hidden_size"),
          fmt::format("a multiple of num_attention_heads, {} (there is no head_dim)", shape.query_heads));
  }
  if (shape.query_heads % shape.kv_heads != 0)
    reader.problem("num_attention_heads", reader.find("num_attention_heads"),
                   fmt::format("a multiple of num_key_value_heads, {}", shape.kv_heads));
  shape.tied_embeddings = reader.flag_or("tie_word_embeddings", tied_by_default);

  DecoderSpec& decoder = config.decoder;
  decoder.norm.epsilon = reader.number_or("rms_norm_eps", 1e-6, 0, 1);
  decoder.attention_scale = 1 / std::sqrt(static_cast<double>(shape.head_dim));
  decoder.layers.assign(static_cast<std::size_t>(shape.layers), LayerSpec{});
}

Activation read_activation(ConfigReader& reader, std::string_view key) {
  const std::string name = reader.text_or(key, "silu");
  if (name == "silu" || name == "swish") return Activation::silu;
  if (name == "gelu") return Activation::gelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return Activation::gelu_tanh;
  reader.problem(key, reader.find(key), "silu, gelu or gelu_pytorch_tanh");
  return Activation::silu;
}

void read_rope(ConfigReader& reader, ModelConfig& config, double default_theta) {
  RopeSpec spec;
  const auto* parameters = reader.find("rope_parameters");  // transformers 5: everything in here
  const auto* scaling = reader.find("rope_scaling");        // transformers 4: all but theta
  const auto* object = parameters != nullptr ? parameters : scaling;
  if (object != nullptr && !object->is_object()) {
    reader.problem(parameters != nullptr ? "rope_parameters" : "rope_scaling", object, "an object");
    return;
  }
  const double outer_theta = reader.number_or("rope_theta", default_theta, 1, 1e12);
  const double outer_share = reader.number_or("partial_rotary_factor", 1, 0, 1);
  if (object == nullptr) {
    spec.theta = outer_theta;
    set_dimensions(reader, config.shape, outer_share, spec);
  } else {
    ConfigReader rope(*object, reader.label());
    spec.theta = rope.number_or("rope_theta", outer_theta, 1, 1e12);
    spec.scaling = read_scaling(rope, rope.find("rope_type") == nullptr ? "type" : "rope_type");
    read_scaling_values(rope, config.shape.max_context, spec);
    set_dimensions(rope, config.shape, rope.number_or("partial_rotary_factor", outer_share, 0, 1), spec);
    reader.take_problems(rope, parameters != nullptr ? "rope_parameters" : "rope_scaling");
  }
  config.decoder.ropes = {spec};
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
