#include "text/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

#include "text/utf8.h"

namespace weft::text {
namespace {

std::string position(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, at);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t start = before.rfind('\n');
  return fmt::format("{}:{}", line, at - (start == std::string_view::npos ? 0 : start + 1) + 1);
}

// One pass that costs no stack and next to no memory, before the real parser builds anything.
Status check_shape(std::string_view text, std::size_t depth_limit, std::size_t member_limit) {
  std::vector<std::size_t> members;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') {
      members.push_back(1);
      if (members.size() > depth_limit)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{}: JSON nested deeper than {} levels", position(text, at), depth_limit));
    }
    if ((c == '}' || c == ']') && !members.empty()) members.pop_back();
    if (c == ':' && !members.empty() && members.back()++ > member_limit)
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{}: a JSON object of more than {} members", position(text, at), member_limit));
  }
  return {};
}

template <class Json>
Result<Json> parse(std::string_view text, std::size_t depth_limit, std::size_t member_limit) {
  WEFT_TRY(check_shape(text, depth_limit, member_limit));
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    const std::size_t at = std::min(text.size(), error.byte > 0 ? error.byte - 1 : 0);
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ...": keep the last
    // part, which quotes what it read, whether that is UTF-8 or not.
    const std::string_view what = error.what();
    const std::size_t colon = what.find(": ");
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: not JSON: {}", position(text, at),
                            with_replacements(colon == std::string_view::npos ? what : what.substr(colon + 2))));
  } catch (const nlohmann::json::exception& error) {  // a number out of range
    return fail(ErrorCode::invalid_argument, fmt::format("not JSON: {}", error.what()));
  }
}

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, JsonLimits limits) {
  return parse<nlohmann::json>(text, limits.depth, std::numeric_limits<std::size_t>::max());
}

Result<OrderedJson> parse_ordered_json(std::string_view text, JsonLimits limits) {
  return parse<OrderedJson>(text, limits.depth, limits.members);
}

std::string_view kind_of(nlohmann::json::value_t type) noexcept {
  using Type = nlohmann::json::value_t;
  switch (type) {
    case Type::null: return "null";
    case Type::object: return "an object";
    case Type::array: return "an array";
    case Type::string: return "a string";
    case Type::boolean: return "true or false";
    case Type::number_integer:
    case Type::number_unsigned:
    case Type::number_float: return "a number";
    case Type::binary:
    case Type::discarded: break;
  }
  return "nothing that JSON has";
}

Result<std::string> read_file(const std::string& path, std::size_t limit_bytes) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return fail(ErrorCode::not_found, fmt::format("{}: no such file", path));
  if (!std::filesystem::is_regular_file(status))
    return fail(ErrorCode::invalid_argument, fmt::format("{}: not a regular file", path));
  const auto size = std::filesystem::file_size(path, error);
  if (error) return fail(ErrorCode::unavailable, fmt::format("{}: {}", path, error.message()));
  if (size > limit_bytes)
    return fail(ErrorCode::resource_exhausted,
                fmt::format("{}: {} bytes, expected at most {}", path, size, limit_bytes));
  std::string text(size, '\0');
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return fail(ErrorCode::permission_denied, fmt::format("{}: {}", path, std::strerror(errno)));
  stream.read(text.data(), static_cast<std::streamsize>(size));
  if (static_cast<std::size_t>(stream.gcount()) != size)
    return fail(ErrorCode::data_loss, fmt::format("{}: {} bytes read of {}", path, stream.gcount(), size));
  return text;
}

}  // namespace weft::text
