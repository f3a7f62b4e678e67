// OpenAI bodies <-> Request and answer. Knows nothing of files, HTTP or clusters.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/routing/router.h"
#include "text/chat/chat_template.h"
#include "text/tokenizer/tokenizer.h"
#include "weft/request.h"
#include "weft/status.h"

namespace weft::frontend {

using weft::GenerationDefaults;

enum class Endpoint : std::uint8_t { chat_completions, completions };

// One client's request, checked and typed, its prompt not yet tokens.
struct ApiRequest {
  Endpoint endpoint = Endpoint::chat_completions;
  std::variant<std::string, std::vector<TokenId>, nlohmann::ordered_json> prompt;  // text, ids, or chat messages
  SamplingParams sampling;
  bool seed_given = false;
  StopConditions stop;
  bool max_tokens_given = false;
  bool return_token_ids = false;
};

// Every key of the body is checked: wrong types and ranges name the key, what was found and what was expected; keys whose
// feature is not built (n > 1, logprobs, echo, stream, tools ...) are refused as "not in this version"; unknown keys are
// ignored, as OpenAI's clients expect. Temperature where the body has none: 0 if do_sample is false, else the file's, else 1.
Result<ApiRequest> parse_request(Endpoint endpoint, const nlohmann::ordered_json& body,
                                 const GenerationDefaults& defaults, std::int32_t default_max_tokens);

// The prompt as token ids: chats through the template, text with the special tokens that the tokenizer's post_processor
// puts around it. invalid_argument: an empty prompt, a failing template, no tokenizer or template in the model directory.
Result<Request> to_request(const ApiRequest& request, const text::Tokenizer* tokenizer, const text::ChatFormat* chat);

// The answer's body: "chat.completion" or "text_completion", with usage and (if asked for) token_ids. `tokens` are all
// generated ids, end id included; the text leaves special tokens out and is cut at a stop string.
nlohmann::ordered_json to_body(const ApiRequest& request, const std::string& id, const std::string& model,
                               std::int64_t created, std::int64_t prompt_tokens, std::span<const TokenId> tokens,
                               const Outcome& outcome, const text::Tokenizer* tokenizer);

// OpenAI's error object: {"error": {"message", "type", "param", "code"}}.
nlohmann::ordered_json error_body(const Error& error);

}  // namespace weft::frontend
