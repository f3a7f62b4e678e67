#include "frontend/api/api_request.h"
#include "frontend/api/choice_text.h"
#include "frontend/api/logprobs_body.h"

namespace weft::frontend {
namespace {

bool clients_fault(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::not_found:
    case ErrorCode::already_exists:
    case ErrorCode::unimplemented:
    case ErrorCode::failed_precondition: return true;
    default: return false;
  }
}

nlohmann::ordered_json choice_body(const ApiRequest& request, const Answer& answer, const ChoiceAnswer& choice,
                                   std::size_t index, const std::shared_ptr<const text::Tokenizer>& tokenizer) {
  const bool chat = request.endpoint == Endpoint::chat_completions;
  ChoiceText shown = choice_text(request, answer.prompt, choice, tokenizer);
  nlohmann::ordered_json body{{"index", index}};
  if (chat)
    body["message"] = {{"role", "assistant"}, {"content", std::move(shown.text)}};
  else
    body["text"] = std::move(shown.text);
  body["logprobs"] = nullptr;
  if (request.logprobs.generated)
    body["logprobs"] = chat ? chat_logprobs(choice, tokenizer.get())
                            : completion_logprobs(request, answer.prompt, choice, shown.offsets, tokenizer.get());
  body["finish_reason"] = to_string(choice.outcome.reason);
  if (request.return_token_ids || tokenizer == nullptr) body["token_ids"] = choice.tokens;
  return body;
}

}  // namespace

nlohmann::ordered_json to_body(const ApiRequest& request, const Answer& answer,
                               const std::shared_ptr<const text::Tokenizer>& tokenizer) {
  const bool chat = request.endpoint == Endpoint::chat_completions;
  nlohmann::ordered_json choices = nlohmann::ordered_json::array();
  std::int64_t completion_tokens = 0;
  for (const ChoiceAnswer& choice : answer.choices) {
    choices.push_back(choice_body(request, answer, choice, choices.size(), tokenizer));
    completion_tokens += static_cast<std::int64_t>(choice.tokens.size());
  }
  const auto prompt_tokens = static_cast<std::int64_t>(answer.prompt.size());
  nlohmann::ordered_json body;
  body["id"] = answer.id;
  body["object"] = chat ? "chat.completion" : "text_completion";
  body["created"] = answer.created;
  body["model"] = answer.model;
  body["choices"] = std::move(choices);
  body["usage"] = {{"prompt_tokens", prompt_tokens},
                   {"completion_tokens", completion_tokens},
                   {"total_tokens", prompt_tokens + completion_tokens}};
  return body;
}

nlohmann::ordered_json error_body(const Error& error) {
  nlohmann::ordered_json inner;
  inner["message"] = error.message;
  inner["type"] = clients_fault(error.code) ? "invalid_request_error" : "server_error";
  inner["param"] = nullptr;
  inner["code"] = to_string(error.code);
  nlohmann::ordered_json body;
  body["error"] = std::move(inner);
  return body;
}

}  // namespace weft::frontend
