// Typed access to the fields of a tokenizer.json; null counts as absent. Errors name the key, what was found
// and what was expected.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "weft/request.h"
#include "weft/status.h"

namespace weft::text {

// At most 60 bytes of somebody's text, cut at a character, control characters as \xNN: what an error message may quote.
std::string shorten(std::string_view text);

Result<bool> bool_field(const nlohmann::json& object, const char* key, bool otherwise);
Result<std::string> string_field(const nlohmann::json& object, const char* key, const std::string& otherwise);
Result<std::size_t> size_field(const nlohmann::json& object, const char* key, std::size_t otherwise);

// Parts of a pipeline that hold parts: how deep a tokenizer.json may nest them.
constexpr int deepest_sequence = 8;

// The "type" of a part of the pipeline.
Result<std::string> type_of(const nlohmann::json& part);

// A whole number from 0 to max_token_id.
Result<TokenId> token_id(const nlohmann::json& value);

// The array under `key`; invalid_argument where there is none.
Result<const nlohmann::json*> array_field(const nlohmann::json& object, const char* key);

// "a String or Regex pattern": {"String": ...} or {"Regex": ...}.
struct Pattern {
  bool regex = false;
  std::string text;
};
Result<Pattern> pattern_field(const nlohmann::json& object);

}  // namespace weft::text
