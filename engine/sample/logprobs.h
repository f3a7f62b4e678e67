// Log-probabilities of the raw logits: before bias, penalties, temperature and filters (vLLM's default).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "weft/request.h"

namespace weft::engine {

struct TokenLogprob {
  TokenId id = 0;
  double logprob = 0;  // natural; -inf for an id outside the vocabulary
};

struct Logprobs {
  TokenLogprob chosen;
  std::int32_t rank = 0;          // 1: the most probable; tokens more probable than the chosen one, plus one
  std::vector<TokenLogprob> top;  // by falling probability, the lowest id first among equals
};

// Of one row of logits [vocabulary], not changed: the log-softmax at `chosen`, and the `top_count` best ones (fewer where
// the vocabulary is smaller). Any thread. Call it before the sampler, which destroys its logits.
Logprobs logprobs_of(std::span<const float> logits, TokenId chosen, std::int32_t top_count);

}  // namespace weft::engine
