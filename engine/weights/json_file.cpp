#include "engine/weights/json_file.h"

#include <fmt/format.h>

#include <filesystem>
#include <new>

#include "engine/weights/mapped_file.h"

namespace weft::engine {
namespace {

// Nesting is bounded before the parser builds anything; brackets inside strings do not count.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_json_depth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr std::size_t limit = 100;
  std::string out = "'";
  for (const char c : text.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out + (text.size() > limit ? "...'" : "'");
}

Result<nlohmann::json> parse_json_object(std::string_view text, std::string_view label) {
  if (text.empty()) return fail(ErrorCode::data_loss, fmt::format("{}: the file is empty", label));
  if (too_deep(text))
    return fail(ErrorCode::invalid_argument, fmt::format("{}: JSON nested deeper than {}", label, max_json_depth));
  try {
    nlohmann::json value = nlohmann::json::parse(text);
    if (!value.is_object())
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{}: JSON {} at the top, expected an object", label, value.type_name()));
    return value;
  } catch (const nlohmann::json::parse_error& error) {
    return fail(ErrorCode::data_loss,
                fmt::format("{}: not valid JSON at byte {}; the file is damaged or cut short", label, error.byte));
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorCode::data_loss, fmt::format("{}: not valid JSON: a number is out of range", label));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::resource_exhausted, fmt::format("{}: not enough memory to read it", label));
  }
}

Result<nlohmann::json> read_json_file(const std::string& path, Bytes limit) {
  WEFT_ASSIGN(file, MappedFile::open(path));
  const std::string label = std::filesystem::path(path).filename().string();
  const auto bytes = file.bytes();
  if (bytes.size() > limit)
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {} bytes, at most {} are read", label, bytes.size(), limit));
  return parse_json_object({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, label);
}

}  // namespace weft::engine
