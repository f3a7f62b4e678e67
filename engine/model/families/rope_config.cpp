#include <fmt/format.h>

#include "engine/model/families/family.h"

namespace weft::engine {
namespace {

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
  spec.original_context = rope.size_or("original_max_position_embeddings", context, INT32_MAX);
  if (spec.high_frequency_factor <= spec.low_frequency_factor)
    rope.problem("high_freq_factor", rope.find("high_freq_factor"),
                 fmt::format("more than low_freq_factor, {}", spec.low_frequency_factor));
}

void set_dimensions(ConfigReader& reader, const ModelShape& shape, double share, RopeSpec& spec) {
  spec.dimensions = static_cast<std::int32_t>(shape.head_dim * share);
  if (spec.dimensions < 2 || spec.dimensions % 2 != 0)
    reader.problem(fmt::format("rope turns {} of a head's {} elements, expected an even number from 2", spec.dimensions,
                               shape.head_dim));
}

}  // namespace

RopeSpec read_rope(ConfigReader& reader, const ModelShape& shape, const RopeKeys& keys) {
  RopeSpec spec;
  spec.theta = reader.number_or(keys.theta, keys.default_theta, 1, 1e12);
  double share = reader.number_or("partial_rotary_factor", 1, 0, 1);
  if (keys.object == nullptr) {
    set_dimensions(reader, shape, share, spec);
    return spec;
  }
  if (!keys.object->is_object()) {
    reader.problem(keys.name, keys.object, "an object");
    return spec;
  }
  ConfigReader rope(*keys.object, reader.label());
  for (const auto& [key, value] : keys.object->items())
    if (value.is_object()) rope.problem(key, &value, "a number: one rope for all layers");
  spec.theta = rope.number_or("rope_theta", spec.theta, 1, 1e12);
  spec.scaling = read_scaling(rope, rope.find("rope_type") == nullptr ? "type" : "rope_type");
  read_scaling_values(rope, shape.max_context, spec);
  share = rope.number_or("partial_rotary_factor", share, 0, 1);
  set_dimensions(rope, shape, share, spec);
  reader.take_problems(rope, keys.name);
  return spec;
}

void read_one_rope(ConfigReader& reader, ModelConfig& config, double default_theta) {
  const char* name = reader.find("rope_parameters") != nullptr ? "rope_parameters" : "rope_scaling";
  config.decoder.ropes = {
      read_rope(reader, config.shape, {.object = reader.find(name), .name = name, .default_theta = default_theta})};
}

}  // namespace weft::engine
