#include "engine/model/rope.h"

#include <cmath>
#include <numbers>

namespace weft::engine {
namespace {

float llama3_frequency(float frequency, const RopeSpec& spec) {
  const auto context = static_cast<double>(spec.original_context);
  const double wavelength = 2 * std::numbers::pi / static_cast<double>(frequency);
  if (wavelength > context / spec.low_frequency_factor) return static_cast<float>(frequency / spec.factor);
  if (wavelength < context / spec.high_frequency_factor) return frequency;
  const double smooth =
      (context / wavelength - spec.low_frequency_factor) / (spec.high_frequency_factor - spec.low_frequency_factor);
  return static_cast<float>((1 - smooth) * frequency / spec.factor + smooth * frequency);
}

}  // namespace

std::vector<float> rope_frequencies(const RopeSpec& spec) {
  std::vector<float> frequencies;
  for (std::int32_t i = 0; i < spec.dimensions; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(spec.dimensions);
    float frequency = 1.0f / static_cast<float>(std::pow(spec.theta, static_cast<double>(exponent)));
    if (spec.scaling == RopeSpec::Scaling::linear) frequency = static_cast<float>(frequency / spec.factor);
    if (spec.scaling == RopeSpec::Scaling::llama3) frequency = llama3_frequency(frequency, spec);
    frequencies.push_back(frequency);
  }
  return frequencies;
}

std::vector<float> rope_table(const RopeSpec& spec, std::int32_t positions) {
  const std::vector<float> frequencies = rope_frequencies(spec);
  std::vector<float> table;
  table.reserve(static_cast<std::size_t>(positions) * frequencies.size() * 2);
  for (std::int32_t position = 0; position < positions; ++position) {
    // The angle is a product in f32, as in transformers; its cosine and sine are exact to the last bit of
    // f32.
    for (const float frequency : frequencies)
      table.push_back(static_cast<float>(std::cos(static_cast<double>(static_cast<float>(position) * frequency))));
    for (const float frequency : frequencies)
      table.push_back(static_cast<float>(std::sin(static_cast<double>(static_cast<float>(position) * frequency))));
  }
  return table;
}

}  // namespace weft::engine
