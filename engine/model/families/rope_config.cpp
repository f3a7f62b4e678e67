#include <fmt/format.h>

#include "engine/model/families/family.h"

namespace weft::engine {
namespace {

// Both names are in use; transformers looks for rope_type first. Without either, transformers 4 fails, and transformers 5 takes
// "default", which scales nothing: right for a base alone, while numbers of a scaling would be ignored in silence.
RopeSpec::Scaling read_scaling(ConfigReader& rope, const nlohmann::json& object) {
  constexpr const char* expected = "default, linear or llama3";
  const char* key = rope.has("rope_type") ? "rope_type" : "type";
  if (!rope.has(key)) {
    for (const auto& [other, value] : object.items()) {
      if (other == "rope_theta" || other == "partial_rotary_factor") continue;
      rope.problem(fmt::format("neither 'rope_type' nor 'type' says what '{}' is for, expected one of them: {}", other,
                               expected));
      break;
    }
    return RopeSpec::Scaling::none;
  }
  const std::string type = rope.text_or(key, "default", expected);
  if (type == "default") return RopeSpec::Scaling::none;
  if (type == "linear") return RopeSpec::Scaling::linear;
  if (type == "llama3") return RopeSpec::Scaling::llama3;
  rope.problem(key, rope.find(key), expected);
  return RopeSpec::Scaling::none;
}

void read_scaling_values(ConfigReader& rope, std::int32_t context, RopeSpec& spec) {
  if (spec.scaling == RopeSpec::Scaling::none) return;
  spec.factor = rope.number("factor", 1, 1e6);
  if (spec.scaling != RopeSpec::Scaling::llama3) return;
  spec.low_frequency_factor = rope.number("low_freq_factor", 1e-3, 1e6);
  spec.high_frequency_factor = rope.number("high_freq_factor", 1e-3, 1e6);
  spec.original_context = rope.size_or("original_max_position_embeddings", context, INT32_MAX);
  const bool both_known = rope.trusts({"low_freq_factor", "high_freq_factor"});
  if (both_known && spec.high_frequency_factor <= spec.low_frequency_factor)
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
  const bool has_object = keys.object != nullptr;
  if (has_object && !keys.object->is_object()) {
    reader.problem(keys.name, keys.object, "an object");
    return spec;
  }
  const nlohmann::json none = nlohmann::json::object();
  const nlohmann::json& object = has_object ? *keys.object : none;
  ConfigReader rope(object, reader.label());
  bool is_one = true;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_object()) continue;
    rope.problem(key, &value, "a number: one rope for all layers");
    is_one = false;
  }
  // What the object says counts, and what stands outside is not read then.
  ConfigReader& theta = rope.has("rope_theta") ? rope : reader;
  spec.theta = theta.number_or(rope.has("rope_theta") ? "rope_theta" : keys.theta, keys.default_theta, 1, 1e12);
  ConfigReader& share = rope.has("partial_rotary_factor") ? rope : reader;
  const double turned = share.number_or("partial_rotary_factor", 1, 0, 1);
  if (reader.trusts({"head_dim"}) && share.trusts({"partial_rotary_factor"}))
    set_dimensions(share, shape, turned, spec);
  if (is_one) {
    spec.scaling = read_scaling(rope, object);
    read_scaling_values(rope, shape.max_context, spec);
  }
  reader.take_problems(rope, keys.name);
  return spec;
}

void read_one_rope(ConfigReader& reader, ModelConfig& config, double default_theta) {
  const char* name = reader.find("rope_parameters") != nullptr ? "rope_parameters" : "rope_scaling";
  config.decoder.ropes = {
      read_rope(reader, config.shape, {.object = reader.find(name), .name = name, .default_theta = default_theta})};
}

}  // namespace weft::engine
