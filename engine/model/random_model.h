// A model of random weights, for measuring: as fast as a trained one of its sizes, and says nothing.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "weft/dtype.h"
#include "weft/status.h"

namespace weft::engine {

struct RandomModel {
  const nlohmann::json* config = nullptr;  // of a family that Weft knows
  DType type = DType::bf16;                // f32, f16 or bf16; written into config.json as its dtype
  std::uint64_t seed = 0;                  // the same seed gives the same bytes, on every machine
};

// Makes config.json and model.safetensors in `directory`, which is made where it is not there; matrices are uniform with standard
// deviation 0.02, norms do not scale, biases are zero. False: both were there already, whole and the same, and nothing was
// written. config.json comes last, so that a directory that has one is whole; one left by an interrupted maker is finished.
// already_exists: the directory holds another model. unavailable (retryable): another process is making it.
Result<bool> make_random_model(const std::string& directory, const RandomModel& model);

}  // namespace weft::engine
