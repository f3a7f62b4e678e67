// Log-probabilities as they travel from the engine to a client: natural logarithms of the softmax of the raw logits, before
// bias, penalties, temperature and filters.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/request.h"

namespace weft {

inline constexpr std::int32_t max_top_logprobs = 20;  // OpenAI's limit for chats

struct TokenLogprob {
  TokenId id = 0;
  double logprob = 0;  // -inf: impossible
};

// Of one token of a sequence.
struct TokenLogprobs {
  TokenLogprob token;              // the one that stands there
  std::vector<TokenLogprob> best;  // by falling probability, the lowest id first among equals
};

}  // namespace weft
