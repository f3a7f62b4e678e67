// Small models with seeded random weights, written as a directory that the engine can load.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/model/model_config.h"
#include "tests/support/temporary_directory.h"

namespace weft::test {

// A config.json of transformers 5 for a small Llama whose sizes share few divisors. `changes` is merged over it; a null
// there writes null.
nlohmann::json tiny_config(const nlohmann::json& changes = nlohmann::json::object());

// Writes config.json and model.safetensors (f32) with every tensor that the config asks for.
void write_tiny_model(const TemporaryDirectory& directory, const nlohmann::json& config, std::uint32_t seed = 1);

}  // namespace weft::test
