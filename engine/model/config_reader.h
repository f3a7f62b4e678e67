// Reads a JSON object's keys with their bounds and gathers every problem, so that a family's file reads as a
// list of what it needs. A problem yields some value inside the bounds: check status() before trusting any, and
// trusts() before comparing two of them, so that one mistake is told once and none is invented from a stand-in.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weft/status.h"

namespace weft::engine {

class ConfigReader {
 public:
  // `object` outlives the reader; `label` is the file's name, for messages.
  ConfigReader(const nlohmann::json& object, std::string label) : object_(object), label_(std::move(label)) {}

  // Null where the key is absent or its value is null.
  const nlohmann::json* find(std::string_view key) const;

  bool has(std::string_view key) const { return object_.contains(key); }  // null counts

  // A whole number in [low, high]. Required; the second form takes `fallback` for an absent key. null is refused, here and
  // below: transformers hands it on to arithmetic, which fails. Where it means something, ask find() first.
  std::int32_t size(std::string_view key, std::int32_t high, std::int32_t low = 1);
  std::int32_t size_or(std::string_view key, std::int32_t fallback, std::int32_t high, std::int32_t low = 1);
  // A finite number in [low, high].
  double number(std::string_view key, double low, double high);
  double number_or(std::string_view key, double fallback, double low, double high);
  bool flag_or(std::string_view key, bool fallback);  // null is false, as in Python
  std::string text_or(std::string_view key, std::string fallback, const std::string& expected);
  // One id, a list of ids, or nothing.
  std::vector<std::int32_t> ids(std::string_view key);

  // model: config.json: 'hidden_size' is -4, expected a whole number from 1 to 1048576
  void problem(std::string_view key, const nlohmann::json* found, const std::string& expected);
  void problem(std::string text);  // the same text twice is one problem
  // Adds another reader's problems, each prefixed with "context: ".
  void take_problems(const ConfigReader& other, std::string_view context);

  // Whether none of these keys had a problem, so that what was read of them is the file's (or the default).
  bool trusts(std::initializer_list<std::string_view> keys) const;
  // For a value that was worked out of keys which had one.
  void distrust(std::string_view key) { distrusted_.emplace(key); }

  // invalid_argument with every problem found so far.
  Status status() const;
  const std::string& label() const noexcept { return label_; }

 private:
  const nlohmann::json& object_;
  std::string label_;
  std::vector<std::string> problems_;
  std::set<std::string, std::less<>> distrusted_;
};

}  // namespace weft::engine
