// Log-probabilities in OpenAI's two shapes. Pure.
#pragma once

#include <nlohmann/json.hpp>

#include "frontend/api/choice_text.h"

namespace weft::frontend {

// A chat's: {"content": [{"token", "logprob", "bytes", "top_logprobs": [{"token", "logprob", "bytes"}]}], "refusal": null}.
nlohmann::ordered_json chat_logprobs(const ChoiceAnswer& choice, const text::Tokenizer* tokenizer);

// A completion's: {"tokens", "token_logprobs", "top_logprobs", "text_offset"}, with the prompt's where it is echoed: its
// first token has null. A token's own log-probability is among its top_logprobs, as in OpenAI's API. `offsets` are
// choice_text()'s.
nlohmann::ordered_json completion_logprobs(const ApiRequest& request, std::span<const TokenId> prompt,
                                           const ChoiceAnswer& choice, std::span<const std::size_t> offsets,
                                           const text::Tokenizer* tokenizer);

}  // namespace weft::frontend
