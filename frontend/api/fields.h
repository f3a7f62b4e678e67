// Typed reading of a JSON object's fields. Absent and null are the same, as in OpenAI's API, but in what is said of them. Errors are invalid_argument
// and name the key, what was found and what was expected.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/request.h"
#include "weft/status.h"

namespace weft::frontend {

using Json = nlohmann::ordered_json;

// "'key': found 3 (number), expected a string"; what was found is cut to a few characters.
Error wrong(std::string_view key, const Json& found, std::string_view expected);
struct Range {
  double low = 0;
  double high = 0;
  bool open_low = false;  // `low` itself is out
};

class Fields {
 public:
  // `body` is an object and outlives this.
  explicit Fields(const Json& body) : body_(body) {}

  const Json* find(std::string_view key) const;  // null where absent or null
  // For what find() did not find: "'key' is missing, expected a string", or "'key': found null, expected ...". `path` is the key's
  // name in the message where that is longer.
  Error lacks(std::string_view key, std::string_view expected, std::string_view path = {}) const;
  Result<std::optional<std::string>> string(std::string_view key) const;
  Result<std::optional<bool>> boolean(std::string_view key) const;
  Result<std::optional<std::int64_t>> integer(std::string_view key, std::int64_t low, std::int64_t high) const;
  Result<std::optional<double>> number(std::string_view key, Range range) const;
  // A list of ids in [0, 2^31).
  Result<std::vector<TokenId>> token_ids(std::string_view key) const;

 private:
  const Json& body_;
};

// `value` is a list of integers in [0, 2^31); `key` names it in errors.
Result<std::vector<TokenId>> to_token_ids(std::string_view key, const Json& value);

}  // namespace weft::frontend
