// A model directory's config.json and generation_config.json, in both layouts in the wild: transformers 4
// (rope_theta, rope_scaling, torch_dtype) and transformers 5 (rope_parameters, dtype).
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/decoder_spec.h"
#include "weft/model_shape.h"
#include "weft/request.h"
#include "weft/status.h"

namespace weft::engine {

using weft::GenerationDefaults;

struct ModelConfig {
  ModelShape shape;
  DecoderSpec decoder;
  std::vector<TokenId> end_ids;  // of both files together, ascending, each once
  std::optional<TokenId> bos_id;
  GenerationDefaults generation;
};

// Reads both files (the second may be missing) and the checkpoint's headers, whose tensors must be those that
// the config describes. Errors name file, key or tensor, what was found and what was expected; an unknown
// architecture lists the known ones. Takes milliseconds: tensors' bytes are not read.
Result<ModelConfig> read_model_config(const std::string& directory);

// The same from parsed files, without a checkpoint: shape.weight_bytes stays 0. `generation` may be null.
Result<ModelConfig> parse_model_config(const nlohmann::json& config, const nlohmann::json* generation);

// Architectures that families/ knows, sorted: "LlamaForCausalLM".
std::vector<std::string> known_architectures();

}  // namespace weft::engine
