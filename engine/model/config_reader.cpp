#include "engine/model/config_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "engine/weights/json_file.h"

namespace weft::engine {
namespace {

using Json = nlohmann::json;

// A value as it may stand in a message.
std::string shown(const Json* value) {
  if (value == nullptr) return "missing";
  if (value->is_structured()) return value->is_array() ? "a list" : "an object";
  if (value->is_string()) return in_quotes(value->get_ref<const std::string&>());
  return value->dump();
}

bool whole_number_in(const Json& value, std::int64_t low, std::int64_t high) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) return false;
  return value.is_number_integer() && value.get<std::int64_t>() >= low && value.get<std::int64_t>() <= high;
}

}  // namespace

const Json* ConfigReader::find(std::string_view key) const {
  const auto at = object_.find(key);
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

void ConfigReader::problem(std::string_view key, const Json* found, const std::string& expected) {
  const auto at = object_.find(key);
  const bool is_null = found == nullptr && at != object_.end();
  problem(fmt::format("'{}' is {}, expected {}", key, is_null ? "null" : shown(found), expected));
  distrust(key);
}

void ConfigReader::problem(std::string text) {
  if (std::find(problems_.begin(), problems_.end(), text) == problems_.end()) problems_.push_back(std::move(text));
}

bool ConfigReader::trusts(std::initializer_list<std::string_view> keys) const {
  return std::none_of(keys.begin(), keys.end(), [&](std::string_view key) { return distrusted_.count(key) != 0; });
}

void ConfigReader::take_problems(const ConfigReader& other, std::string_view context) {
  for (const std::string& text : other.problems_)
    problem(fmt::format("{}: {}", context, text));
}

std::int32_t ConfigReader::size(std::string_view key, std::int32_t high, std::int32_t low) {
  const Json* value = find(key);
  if (value != nullptr && whole_number_in(*value, low, high)) return value->get<std::int32_t>();
  problem(key, value, fmt::format("a whole number from {} to {}", low, high));
  return low;
}

std::int32_t ConfigReader::size_or(std::string_view key, std::int32_t fallback, std::int32_t high, std::int32_t low) {
  if (has(key) && find(key) == nullptr)
    problem(key, nullptr, fmt::format("a whole number from {} to {} (without the key: {})", low, high, fallback));
  return find(key) == nullptr ? fallback : size(key, high, low);
}

double ConfigReader::number(std::string_view key, double low, double high) {
  const Json* value = find(key);
  if (value != nullptr && value->is_number()) {
    const double number = value->get<double>();
    if (std::isfinite(number) && number >= low && number <= high) return number;
  }
  problem(key, value, fmt::format("a number from {} to {}", low, high));
  return low;
}

double ConfigReader::number_or(std::string_view key, double fallback, double low, double high) {
  if (has(key) && find(key) == nullptr)
    problem(key, nullptr, fmt::format("a number from {} to {} (without the key: {})", low, high, fallback));
  return find(key) == nullptr ? fallback : number(key, low, high);
}

bool ConfigReader::flag_or(std::string_view key, bool fallback) {
  const Json* value = find(key);
  if (value == nullptr) return !has(key) && fallback;
  if (!value->is_boolean()) problem(key, value, "true or false");
  return value->is_boolean() && value->get<bool>();
}

std::string ConfigReader::text_or(std::string_view key, std::string fallback, const std::string& expected) {
  if (!has(key)) return fallback;
  const Json* value = find(key);
  if (value != nullptr && value->is_string()) return value->get<std::string>();
  problem(key, value, expected);
  return fallback;
}

std::vector<std::int32_t> ConfigReader::ids(std::string_view key) {
  const Json* value = find(key);
  std::vector<std::int32_t> ids;
  if (value == nullptr) return ids;
  const auto add = [&](const Json& id) {
    if (whole_number_in(id, 0, INT32_MAX))
      ids.push_back(id.get<std::int32_t>());
    else
      problem(key, &id, "a token id, or a list of them");
  };
  if (value->is_array()) {
    for (const Json& id : *value)
      add(id);
  } else {
    add(*value);
  }
  return ids;
}

Status ConfigReader::status() const {
  if (problems_.empty()) return {};
  return fail(ErrorCode::invalid_argument, fmt::format("model: {}: {}", label_, fmt::join(problems_, "; ")));
}

}  // namespace weft::engine
