// JSON and files that somebody else wrote. Pure but for read_file; any thread.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "weft/status.h"

namespace weft::text {

// Keeps the order of keys, which a chat template prints (a tool's description, say). Its objects are searched
// from front to back, so their members are bounded (JsonLimits).
using OrderedJson = nlohmann::ordered_json;

struct JsonLimits {
  std::size_t depth = 64;
  std::size_t members = 4096;  // of one object; parse_ordered_json only
};

// invalid_argument with line and column for what is not JSON, or is nested deeper than the limit.
Result<nlohmann::json> parse_json(std::string_view text, JsonLimits limits = {});
// The same with keys in their order. Parsing time of an object grows with the square of its members: hence
// the limit.
Result<OrderedJson> parse_ordered_json(std::string_view text, JsonLimits limits = {});

// What a value is, for messages: "a string", "an object", "null". Of either kind of JSON: value.type().
std::string_view kind_of(nlohmann::json::value_t type) noexcept;

// The whole file; not_found where there is none, resource_exhausted where it is larger than `limit_bytes`.
Result<std::string> read_file(const std::string& path, std::size_t limit_bytes);

}  // namespace weft::text
