#include "text/tokenizer/json_fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/tokenizer/bpe.h"

namespace weft::text {
namespace {

using nlohmann::json;

const json* present(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

tl::unexpected<Error> wrong(const char* key, const json& found, const char* expected) {
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: found {}, expected {}", key, kind_of(found.type()), expected));
}

}  // namespace

std::string shorten(std::string_view text) {
  constexpr std::size_t limit = 60;
  std::size_t end = std::min(text.size(), limit);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
    --end;
  std::string out;
  for (const char c : text.substr(0, end)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F)
      out += fmt::format("\\x{:02x}", byte);  // nothing that a terminal obeys
    else
      out += c;
  }
  return end < text.size() ? out + "..." : out;
}

Result<bool> bool_field(const json& object, const char* key, bool otherwise) {
  const json* value = present(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) return wrong(key, *value, "true or false");
  return value->get<bool>();
}

Result<std::string> string_field(const json& object, const char* key, const std::string& otherwise) {
  const json* value = present(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_string()) return wrong(key, *value, "a string");
  return value->get<std::string>();
}

Result<std::size_t> size_field(const json& object, const char* key, std::size_t otherwise) {
  const json* value = present(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_number_unsigned()) return wrong(key, *value, "a whole number, not negative");
  return value->get<std::size_t>();
}

Result<std::string> type_of(const json& part) {
  if (!part.is_object())
    return fail(ErrorCode::invalid_argument, fmt::format("found {}, expected an object", kind_of(part.type())));
  WEFT_ASSIGN(type, string_field(part, "type", ""));
  if (type.empty()) return fail(ErrorCode::invalid_argument, "an object without a 'type'");
  return type;
}

Result<TokenId> token_id(const json& value) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= static_cast<std::uint64_t>(max_token_id))
    return value.get<TokenId>();
  return fail(ErrorCode::invalid_argument,
              fmt::format("id {}: expected a whole number from 0 to {}",
                          value.is_number() ? value.dump() : std::string(kind_of(value.type())), max_token_id));
}

Result<const json*> array_field(const json& object, const char* key) {
  const json* value = present(object, key);
  if (value == nullptr || !value->is_array())
    return fail(ErrorCode::invalid_argument, fmt::format("{}: expected an array", key));
  return value;
}

Result<Pattern> pattern_field(const json& object) {
  if (const json* value = present(object, "pattern")) {
    for (const char* key : {"String", "Regex"})
      if (const json* text = present(*value, key); text != nullptr && text->is_string())
        return Pattern{.regex = std::string_view(key) == "Regex", .text = text->get<std::string>()};
  }
  return fail(ErrorCode::invalid_argument, "pattern: expected {\"String\": ...} or {\"Regex\": ...}");
}

}  // namespace weft::text
