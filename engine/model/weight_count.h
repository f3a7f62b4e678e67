// How many weights a token meets on its way: what a step has to read and to multiply. Pure.
#pragma once

#include <cstdint>

#include "engine/model/model_config.h"

namespace weft::engine {

// Elements of the whole model's matrices, not of a rank's; norms and biases, thousandths of them, are left out.
struct WeightCount {
  std::int64_t layers = 0;  // of all layers, where there are experts only of as many as a token takes
  std::int64_t stored = 0;  // of all layers, every expert
  std::int64_t head = 0;    // vocabulary x hidden, a tied embedding counted here
};
WeightCount count_weights(const ModelConfig& config);

}  // namespace weft::engine
