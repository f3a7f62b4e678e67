#include "frontend/api/parse_prompt.h"

#include <fmt/format.h>

namespace weft::frontend {
namespace {

Result<std::string> join_parts(const std::string& key, const Json& parts) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Json& part = parts[i];
    const std::string here = fmt::format("{}[{}]", key, i);
    if (!part.is_object()) return fail(wrong(here, part, "an object {\"type\": \"text\", \"text\": ...}"));
    const Fields fields(part);
    const Json* type = fields.find("type");
    if (type == nullptr || !type->is_string()) return fail(wrong(here, part, "an object with a \"type\""));
    if (*type != "text")
      return fail(ErrorCode::invalid_argument,
                  fmt::format("'{}': a part of type '{}' is not in this version; send text", here,
                              type->get_ref<const std::string&>()));
    const Json* part_text = fields.find("text");
    if (part_text == nullptr || !part_text->is_string()) return fail(wrong(here, part, "a string under \"text\""));
    if (i > 0) text += '\n';
    text += part_text->get_ref<const std::string&>();
  }
  return text;
}

Result<Json> parse_message(const std::string& key, const Json& message) {
  if (!message.is_object()) return fail(wrong(key, message, "an object {\"role\", \"content\"}"));
  const Fields fields(message);
  const Json* role = fields.find("role");
  if (role == nullptr) return fail(fields.lacks("role", "a string such as \"user\"", key + ".role"));
  if (!role->is_string()) return fail(wrong(key + ".role", *role, "a string such as \"user\""));
  Json checked = message;
  const Json* content = fields.find("content");
  if (content == nullptr || content->is_string()) return checked;
  if (!content->is_array()) return fail(wrong(key + ".content", *content, "a string or a list of text parts"));
  WEFT_ASSIGN(text, join_parts(key + ".content", *content));
  checked["content"] = std::move(text);
  return checked;
}

Result<Prompt> parse_messages(const Fields& body) {
  const Json* messages = body.find("messages");
  if (messages == nullptr) return fail(body.lacks("messages", "a list of messages"));
  if (!messages->is_array() || messages->empty())
    return fail(wrong("messages", *messages, "a list of at least one message"));
  Json checked = Json::array();
  for (std::size_t i = 0; i < messages->size(); ++i) {
    WEFT_ASSIGN(message, parse_message(fmt::format("messages[{}]", i), (*messages)[i]));
    checked.push_back(std::move(message));
  }
  return Prompt(std::move(checked));
}

}  // namespace

Result<Prompt> parse_prompt(Endpoint endpoint, const Fields& body) {
  const bool chat = endpoint == Endpoint::chat_completions;
  const std::string_view other = chat ? "prompt" : "messages";
  if (const Json* both = body.find(other); both != nullptr)
    return fail(wrong(other, *both,
                      fmt::format("nothing beside '{}': a request has one of the two", chat ? "messages" : "prompt")));
  if (chat) return parse_messages(body);
  constexpr std::string_view expected = "text, a list of token ids, or a list of exactly one of them";
  const Json* prompt = body.find("prompt");
  if (prompt == nullptr) return fail(body.lacks("prompt", expected));
  const bool wrapped =
      prompt->is_array() && !prompt->empty() && (prompt->front().is_string() || prompt->front().is_array());
  if (wrapped && prompt->size() > 1)
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("'prompt': a list of {} prompts is not in this version; send one a request", prompt->size()));
  const Json& one = wrapped ? prompt->front() : *prompt;
  if (one.is_string()) return Prompt(one.get<std::string>());
  if (!one.is_array()) return fail(wrong("prompt", one, expected));
  WEFT_ASSIGN(ids, to_token_ids("prompt", one));
  return Prompt(std::move(ids));
}

}  // namespace weft::frontend
