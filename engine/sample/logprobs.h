// Log-probabilities of the raw logits: before bias, penalties, temperature and filters (vLLM's default).
#pragma once

#include <cstdint>
#include <span>

#include "weft/logprobs.h"
#include "weft/status.h"

namespace weft::engine {

// Of one row of logits [vocabulary], not changed: the log-softmax at `token` (-inf for an id outside the vocabulary), and
// the `best` largest ones (fewer where the vocabulary is smaller). data_loss where the logits are no numbers: the model's
// output is broken, not the request. Any thread. Call it before the sampler, which destroys its logits.
Result<TokenLogprobs> logprobs_of(std::span<const float> logits, TokenId token, std::int32_t best);

}  // namespace weft::engine
