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
#include "weft/logprobs.h"
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
  LogprobsWanted logprobs;
  std::int32_t n = 1;  // choices
  bool max_tokens_given = false;
  bool return_token_ids = false;
  bool echo = false;          // completions: the answer begins with the prompt
  bool include_stop = false;  // the text ends with what stopped it, not before it
};

// What became of one choice.
struct ChoiceAnswer {
  std::vector<TokenId> tokens;                 // all generated ids, end id included
  std::vector<TokenLogprobs> logprobs;         // one a token, where wanted
  std::vector<TokenLogprobs> prompt_logprobs;  // of the prompt from its second token on, where wanted
  Outcome outcome;                             // stop or length
};

struct Answer {
  std::string id;
  std::string model;
  std::int64_t created = 0;           // seconds since 1970
  std::span<const TokenId> prompt;    // its tokens
  std::vector<ChoiceAnswer> choices;  // by index
};

// Every key of the body is checked: wrong types and ranges name the key, what was found and what was expected; keys whose
// feature is not built (stream, tools, response_format ...) are refused as "not in this version"; unknown keys are
// ignored, as OpenAI's clients expect. Temperature where the body has none: 0 if do_sample is false, else the file's, else 1.
Result<ApiRequest> parse_request(Endpoint endpoint, const nlohmann::ordered_json& body,
                                 const GenerationDefaults& defaults, std::int32_t default_max_tokens);

// The request of the first choice; the others differ in `choice` alone. The prompt as token ids: chats through the template, text with the special tokens that the tokenizer's post_processor
// puts around it. invalid_argument: an empty prompt, a failing template, no tokenizer or template in the model directory.
Result<Request> to_request(const ApiRequest& request, const text::Tokenizer* tokenizer, const text::ChatFormat* chat);

// The answer's body: "chat.completion" or "text_completion", with a choice for each of the answer's, log-probabilities and
// token_ids where asked for, and usage (the prompt's tokens once). The text leaves special tokens out and is cut at a stop
// string. request.prompt is looked at where a text is echoed.
nlohmann::ordered_json to_body(const ApiRequest& request, const Answer& answer,
                               const std::shared_ptr<const text::Tokenizer>& tokenizer);

// OpenAI's error object: {"error": {"message", "type", "param", "code"}}.
nlohmann::ordered_json error_body(const Error& error);

}  // namespace weft::frontend
