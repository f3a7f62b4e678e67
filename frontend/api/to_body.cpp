#include "frontend/api/api_request.h"

namespace weft::frontend {
namespace {

std::string answer_text(std::span<const TokenId> tokens, const Outcome& outcome, const text::Tokenizer* tokenizer) {
  if (tokenizer == nullptr) return {};
  std::string text = tokenizer->decode(tokens, true);
  const bool cut = !outcome.matched_stop.empty() && outcome.text_offset >= 0;
  if (cut && static_cast<std::size_t>(outcome.text_offset) < text.size())
    text.resize(static_cast<std::size_t>(outcome.text_offset));
  return text;
}

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

}  // namespace

nlohmann::ordered_json to_body(const ApiRequest& request, const std::string& id, const std::string& model,
                               std::int64_t created, std::int64_t prompt_tokens, std::span<const TokenId> tokens,
                               const Outcome& outcome, const text::Tokenizer* tokenizer) {
  const bool chat = request.endpoint == Endpoint::chat_completions;
  std::string text = answer_text(tokens, outcome, tokenizer);
  nlohmann::ordered_json choice{{"index", 0}};
  if (chat)
    choice["message"] = {{"role", "assistant"}, {"content", std::move(text)}};
  else
    choice["text"] = std::move(text);
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = to_string(outcome.reason);
  if (request.return_token_ids || tokenizer == nullptr) choice["token_ids"] = tokens;
  const auto completion_tokens = static_cast<std::int64_t>(tokens.size());
  nlohmann::ordered_json body;
  body["id"] = id;
  body["object"] = chat ? "chat.completion" : "text_completion";
  body["created"] = created;
  body["model"] = model;
  body["choices"] = nlohmann::ordered_json::array({std::move(choice)});
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
