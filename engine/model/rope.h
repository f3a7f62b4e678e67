// Tables of cosines and sines for rotary embeddings, as the device reads them.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/model/decoder_spec.h"

namespace weft::engine {

// Radians a position, for pairs i = 0 .. dimensions / 2 - 1: theta^(-2i / dimensions), scaled as the spec
// says. "llama3": Grattafiori et al., arXiv 2407.21783, as transformers' _compute_llama3_parameters has it:
// wavelengths longer than original_context / low_frequency_factor are stretched by `factor`, those shorter
// than original_context / high_frequency_factor stay, those between are blended. Rounded to f32 where
// transformers rounds.
std::vector<float> rope_frequencies(const RopeSpec& spec);

// [positions, dimensions] f32, row-major: a row is cos of position * frequency, then sin.
std::vector<float> rope_table(const RopeSpec& spec, std::int32_t positions);

}  // namespace weft::engine
