// Are a request's parameters ones that mean something? Asked once, at admission, so that nobody need ask again.
#pragma once

#include <cstdint>
#include <span>

#include "weft/request.h"
#include "weft/status.h"

namespace weft::engine {

// What the model can generate.
struct GeneratedIds {
  std::int32_t vocabulary = 0;            // ids 0 to vocabulary - 1
  std::span<const TokenId> end_ids = {};  // of these: that end an answer, unless a request says ignore_eos
};

// invalid_argument, naming the first parameter that is wrong, what was found and the legal range. Any thread.
//   temperature 0 or more; top_k 0 (off) or more; top_p above 0, to 1; min_p 0 to 1; repetition_penalty above 0;
//   presence_penalty, frequency_penalty -2 to 2; logit_bias -100 to 100, one an id; max_tokens 1 or more (0 with the
//   prompt's log-probabilities); min_tokens 0 to max_tokens, and 0 where no id is left that does not end the answer; no empty stop string; ids within the vocabulary; 0 to
//   max_top_logprobs best log-probabilities. NaN and infinities are never legal.
Status validate(const SamplingParams& sampling, const StopConditions& stop, const GeneratedIds& ids,
                const LogprobsWanted& logprobs = {});

}  // namespace weft::engine
