#include "frontend/batch/batch_line.h"

#include <fmt/format.h>
#include <xxhash.h>

#include "frontend/api/fields.h"
#include "text/json.h"

namespace weft::frontend {
namespace {

Result<Json> parse_object(std::string_view text) {
  auto parsed = text::parse_ordered_json(text);
  if (!parsed) {
    Error error = std::move(parsed).error();
    if (error.message.rfind("1:", 0) == 0) error.message = "column " + error.message.substr(2);
    return fail(std::move(error));
  }
  if (!parsed->is_object()) return fail(wrong("line", *parsed, "a JSON object"));
  return std::move(*parsed);
}

Result<ApiRequest> parse_long_form(const Json& object, const GenerationDefaults& defaults,
                                   std::int32_t default_max_tokens) {
  const Fields fields(object);
  const Json* method = fields.find("method");
  if (method == nullptr) return fail(fields.lacks("method", "\"POST\""));
  if (*method != "POST") return fail(wrong("method", *method, "\"POST\""));
  constexpr std::string_view urls = "\"/v1/chat/completions\" or \"/v1/completions\"";
  const Json* url = fields.find("url");
  if (url == nullptr) return fail(fields.lacks("url", urls));
  const bool chat = *url == "/v1/chat/completions";
  if (!chat && *url != "/v1/completions") return fail(wrong("url", *url, urls));
  const Json* body = fields.find("body");
  if (body == nullptr) return fail(fields.lacks("body", "an object"));
  return parse_request(chat ? Endpoint::chat_completions : Endpoint::completions, *body, defaults, default_max_tokens);
}

Result<ApiRequest> parse_object_request(const Json& object, const GenerationDefaults& defaults,
                                        std::int32_t default_max_tokens) {
  if (object.contains("url") || object.contains("method") || object.contains("body"))
    return parse_long_form(object, defaults, default_max_tokens);
  // One that is null only decides where the other one is not there.
  const bool has_prompt = Fields(object).find("prompt") != nullptr;
  const bool has_messages = Fields(object).find("messages") != nullptr;
  if (has_messages || (object.contains("messages") && !has_prompt))
    return parse_request(Endpoint::chat_completions, object, defaults, default_max_tokens);
  if (object.contains("prompt")) return parse_request(Endpoint::completions, object, defaults, default_max_tokens);
  return fail(ErrorCode::invalid_argument,
              "no 'messages' and no 'prompt', expected one of them, or a batch line with 'method', 'url' and 'body'");
}

}  // namespace

BatchLine parse_batch_line(std::int64_t number, std::string_view text, const GenerationDefaults& defaults,
                           std::int32_t default_max_tokens) {
  BatchLine line{.custom_id = fmt::format("line-{}", number), .request = fail(ErrorCode::internal, "")};
  const auto refuse = [&](Error error) {
    line.request = fail(annotate(std::move(error), fmt::format("line {}", number)));
    return line;
  };
  auto object = parse_object(text);
  if (!object) return refuse(object.error());
  auto custom_id = Fields(*object).string("custom_id");
  if (!custom_id) return refuse(custom_id.error());
  if (*custom_id) line.custom_id = std::move(**custom_id);
  line.has_custom_id = true;
  line.request = parse_object_request(*object, defaults, default_max_tokens);
  return line.request ? line : refuse(line.request.error());
}

std::int64_t CustomIds::first_line(std::string_view custom_id, std::int64_t number) {
  return first_.try_emplace(XXH3_64bits(custom_id.data(), custom_id.size()), number).first->second;
}

}  // namespace weft::frontend
