#include "frontend/api/logprobs_body.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/utf8.h"

namespace weft::frontend {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no infinity; OpenAI's API and vLLM give this for what cannot be.
double in_json(double logprob) { return std::max(logprob, -9999.0); }

// What is no text is written as OpenAI writes it: \xf0\x9f for each byte.
std::string escaped(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size();) {
    const text::Utf8Prefix prefix = text::utf8_prefix(bytes, at);
    for (std::size_t i = at; i < at + prefix.length; ++i)
      out +=
          prefix.complete ? std::string(1, bytes[i]) : fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes[i]));
    at += prefix.length;
  }
  return out;
}

struct TokenName {
  std::string text;
  Json bytes;  // null where there is no tokenizer to say
  bool is_text = true;
};

TokenName name_of(TokenId id, const text::Tokenizer* tokenizer) {
  if (tokenizer == nullptr) return {.text = fmt::format("token_id:{}", id), .bytes = nullptr};
  const std::string bytes = tokenizer->bytes_of(id);
  Json list = Json::array();
  for (const char byte : bytes)
    list.push_back(static_cast<unsigned char>(byte));
  const bool is_text = !text::first_invalid_utf8(bytes);
  return {.text = is_text ? bytes : escaped(bytes), .bytes = std::move(list), .is_text = is_text};
}

Json chat_token(const TokenLogprob& token, const text::Tokenizer* tokenizer) {
  TokenName name = name_of(token.id, tokenizer);
  Json out;
  out["token"] = std::move(name.text);
  out["logprob"] = in_json(token.logprob);
  out["bytes"] = std::move(name.bytes);
  return out;
}

std::string completion_token(TokenId id, const text::Tokenizer* tokenizer) {
  TokenName name = name_of(id, tokenizer);
  return name.is_text ? std::move(name.text) : "bytes:" + name.text;
}

// By token text; of two ids with one text the more probable counts.
Json best_by_text(const TokenLogprobs& logprobs, const text::Tokenizer* tokenizer) {
  Json out = Json::object();
  const auto add = [&](const TokenLogprob& token) {
    std::string text = completion_token(token.id, tokenizer);
    if (!out.contains(text)) out[std::move(text)] = in_json(token.logprob);
  };
  for (const TokenLogprob& token : logprobs.best)
    add(token);
  add(logprobs.token);
  return out;
}

}  // namespace

Json chat_logprobs(const ChoiceAnswer& choice, const text::Tokenizer* tokenizer) {
  Json content = Json::array();
  for (const TokenLogprobs& logprobs : choice.logprobs) {
    Json token = chat_token(logprobs.token, tokenizer);
    Json best = Json::array();
    for (const TokenLogprob& one : logprobs.best)
      best.push_back(chat_token(one, tokenizer));
    token["top_logprobs"] = std::move(best);
    content.push_back(std::move(token));
  }
  Json out;
  out["content"] = std::move(content);
  out["refusal"] = nullptr;
  return out;
}

Json completion_logprobs(const ApiRequest& request, std::span<const TokenId> prompt, const ChoiceAnswer& choice,
                         std::span<const std::size_t> offsets, const text::Tokenizer* tokenizer) {
  Json tokens = Json::array(), own = Json::array(), best = Json::array();
  const auto add = [&](const TokenLogprobs& logprobs) {
    tokens.push_back(completion_token(logprobs.token.id, tokenizer));
    own.push_back(in_json(logprobs.token.logprob));
    best.push_back(best_by_text(logprobs, tokenizer));
  };
  if (request.echo && !prompt.empty()) {
    tokens.push_back(completion_token(prompt.front(), tokenizer));
    own.push_back(nullptr);
    best.push_back(nullptr);
    for (const TokenLogprobs& logprobs : choice.prompt_logprobs)
      add(logprobs);
  }
  for (const TokenLogprobs& logprobs : choice.logprobs)
    add(logprobs);
  Json out;
  out["tokens"] = std::move(tokens);
  out["token_logprobs"] = std::move(own);
  out["top_logprobs"] = std::move(best);
  out["text_offset"] = offsets;
  return out;
}

}  // namespace weft::frontend
