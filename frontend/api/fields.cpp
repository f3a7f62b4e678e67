#include "frontend/api/fields.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "text/json.h"

namespace weft::frontend {
namespace {

constexpr std::size_t shown_bytes = 40;

// Short enough for a message; bytes that are not UTF-8 (from a body that was not parsed from JSON) are replaced.
std::string shown(const Json& value) {
  if (value.is_number_float() && !std::isfinite(value.get<double>())) return fmt::format("{}", value.get<double>());
  if (value.is_structured()) return fmt::format("{} of {}", text::kind_of(value.type()), value.size());
  if (value.is_string() && value.get_ref<const std::string&>().size() > shown_bytes)
    return fmt::format("a string of {} bytes", value.get_ref<const std::string&>().size());
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<std::int64_t> to_integer(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto found = value.get<std::uint64_t>();
    if (found > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return static_cast<std::int64_t>(found);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  return std::nullopt;
}

}  // namespace

Error wrong(std::string_view key, const Json& found, std::string_view expected) {
  return {ErrorCode::invalid_argument, fmt::format("'{}': found {}, expected {}", key, shown(found), expected)};
}

Error Fields::lacks(std::string_view key, std::string_view expected, std::string_view path) const {
  const std::string_view name = path.empty() ? key : path;
  if (const auto found = body_.find(key); found != body_.end()) return wrong(name, *found, expected);
  return {ErrorCode::invalid_argument, fmt::format("'{}' is missing, expected {}", name, expected)};
}

const Json* Fields::find(std::string_view key) const {
  const auto found = body_.find(key);
  return found == body_.end() || found->is_null() ? nullptr : &*found;
}

Result<std::optional<std::string>> Fields::string(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return fail(wrong(key, *value, "a string"));
  return value->get<std::string>();
}

Result<std::optional<bool>> Fields::boolean(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) return fail(wrong(key, *value, "true or false"));
  return value->get<bool>();
}

Result<std::optional<std::int64_t>> Fields::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::optional<std::int64_t> found = to_integer(*value);
  if (!found || *found < low || *found > high)
    return fail(wrong(key, *value, fmt::format("an integer from {} to {}", low, high)));
  return found;
}

Result<std::optional<double>> Fields::number(std::string_view key, Range range) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  const double found = value->is_number() ? value->get<double>() : std::nan("");
  const bool above = range.open_low ? found > range.low : found >= range.low;
  if (std::isfinite(found) && above && found <= range.high) return found;
  const std::string_view from = range.open_low ? "above" : "from";
  return fail(wrong(key, *value,
                    std::isfinite(range.high) ? fmt::format("a number {} {} to {}", from, range.low, range.high)
                                              : fmt::format("a finite number {} {}", from, range.low)));
}

Result<std::vector<TokenId>> Fields::token_ids(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::vector<TokenId>{};
  return to_token_ids(key, *value);
}

Result<std::vector<TokenId>> to_token_ids(std::string_view key, const Json& value) {
  if (!value.is_array()) return fail(wrong(key, value, "a list of token ids"));
  std::vector<TokenId> ids;
  ids.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::optional<std::int64_t> id = to_integer(value[i]);
    if (!id || *id < 0 || *id > std::numeric_limits<TokenId>::max())
      return fail(wrong(fmt::format("{}[{}]", key, i), value[i], "a token id, an integer from 0 to 2147483647"));
    ids.push_back(static_cast<TokenId>(*id));
  }
  return ids;
}

}  // namespace weft::frontend
