// What a model's tokens cost: bytes that a step has to read, operations that it has to do. Pure.
//
// Only matrices count, once a step each. Attention (two products with every cached key and value), norms, rope and sampling are
// left out, so a share of the limit is, if anything, too low.
#pragma once

#include <cstdint>

#include "engine/model/weight_count.h"
#include "weft/dtype.h"

namespace weft::cli {

struct ModelCost {
  std::int64_t layer_weights = 0;  // that a token meets in the layers
  std::int64_t head_weights = 0;   // of the logits
  std::size_t element_bytes = 0;

  static ModelCost of(const engine::WeightCount& count, DType type) noexcept {
    return {.layer_weights = count.layers, .head_weights = count.head, .element_bytes = size_of(type)};
  }
  // Weights that a step with one row reads: the bytes that bound decoding at batch 1.
  double step_bytes() const noexcept {
    return static_cast<double>(layer_weights + head_weights) * static_cast<double>(element_bytes);
  }
  // Floating-point operations, two a weight: of `tokens` rows through the layers, and of the logits of `sampled` of them.
  double operations(double tokens, double sampled) const noexcept {
    return 2 * (static_cast<double>(layer_weights) * tokens + static_cast<double>(head_weights) * sampled);
  }
};

// Rows that pass through the layers for one request: the last token is given out and not read again.
constexpr std::int64_t rows_of(std::int64_t prompt_tokens, std::int64_t output_tokens) noexcept {
  return prompt_tokens + output_tokens - 1;
}

}  // namespace weft::cli
