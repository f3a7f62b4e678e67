#include "text/tokenizer/normalizer.h"

#include <fmt/format.h>

#include "text/tokenizer/json_fields.h"
#include "text/tokenizer/regex.h"
#include "text/tokenizer/unicode_form.h"
#include "text/utf8.h"

namespace weft::text {
namespace {

using nlohmann::json;

std::string replace_all(const std::string& text, const std::string& from, const std::string& to) {
  std::string out;
  out.reserve(text.size());
  std::size_t at = 0;
  for (std::size_t found = text.find(from); found != std::string::npos; found = text.find(from, at)) {
    out.append(text, at, found - at).append(to);
    at = found + from.size();
  }
  return out.append(text, at, std::string::npos);
}

Result<std::string> replace_matches(const std::string& text, const Regex& regex, const std::string& to) {
  std::vector<Range> matches;
  WEFT_TRY(regex.find_all(text, {0, static_cast<std::uint32_t>(text.size())}, matches));
  std::string out;
  std::size_t at = 0;
  for (const Range& match : matches) {
    out.append(text, at, match.begin - at).append(to);
    at = match.end;
  }
  return out.append(text, at, std::string::npos);
}

std::string strip(const std::string& text, bool left, bool right) {
  std::size_t begin = 0;
  std::size_t end = text.size();
  while (left && begin < end && is_space(code_point_at(text, begin).value))
    begin += code_point_at(text, begin).length;
  while (right && end > begin && is_space(code_point_at(text, previous_character(text, end)).value))
    end = previous_character(text, end);
  return text.substr(begin, end - begin);
}

}  // namespace

Result<Normalizer> Normalizer::from_json(const json& part) {
  Normalizer made;
  if (!part.is_null()) WEFT_TRY(made.add(part, 0));
  return made;
}

Result<std::string> Normalizer::apply(std::string_view text) const {
  std::string current(text);
  for (const Step& step : steps_) {
    WEFT_ASSIGN(next, step(std::move(current)));
    current = std::move(next);
  }
  return current;
}

Status Normalizer::add(const json& part, int depth) {
  WEFT_ASSIGN(type, type_of(part));
  if (type == "Sequence") {
    if (depth >= deepest_sequence)
      return fail(ErrorCode::invalid_argument, fmt::format("Sequence nested deeper than {}", deepest_sequence));
    WEFT_ASSIGN(parts, array_field(part, "normalizers"));
    for (const json& inner : *parts)
      WEFT_TRY(add(inner, depth + 1));
    return {};
  }
  if (const auto form = unicode_form(type)) {
    steps_.push_back(
        [form = *form](std::string text) -> Result<std::string> { return normalize(std::move(text), form); });
  } else if (type == "Prepend") {
    WEFT_ASSIGN(prefix, string_field(part, "prepend", ""));
    steps_.push_back([prefix = std::move(prefix)](std::string text) -> Result<std::string> {
      return text.empty() ? text : prefix + text;
    });
  } else if (type == "Append") {
    WEFT_ASSIGN(suffix, string_field(part, "append", ""));
    steps_.push_back([suffix = std::move(suffix)](std::string text) -> Result<std::string> {
      return text.empty() ? text : text + suffix;
    });
  } else if (type == "Lowercase") {
    steps_.push_back([](std::string text) -> Result<std::string> { return lowercase(text); });
  } else if (type == "StripAccents") {
    steps_.push_back([](std::string text) -> Result<std::string> { return without_marks(text); });
  } else if (type == "Strip") {
    WEFT_ASSIGN(left, bool_field(part, "strip_left", true));
    WEFT_ASSIGN(right, bool_field(part, "strip_right", true));
    steps_.push_back(
        [left = left, right = right](std::string text) -> Result<std::string> { return strip(text, left, right); });
  } else if (type == "Replace") {
    WEFT_ASSIGN(pattern, pattern_field(part));
    WEFT_ASSIGN(content, string_field(part, "content", ""));
    if (pattern.text.empty()) return fail(ErrorCode::invalid_argument, "Replace: an empty pattern");
    if (!pattern.regex) {
      steps_.push_back([from = pattern.text, to = content](std::string text) -> Result<std::string> {
        return replace_all(text, from, to);
      });
      return {};
    }
    WEFT_ASSIGN(regex, Regex::compile(pattern.text));
    steps_.push_back([regex = regex, to = content](std::string text) { return replace_matches(text, regex, to); });
  } else {
    return fail(ErrorCode::unimplemented,
                fmt::format("unknown kind '{}'; expected Sequence, NFC, NFD, NFKC, NFKD, Prepend, Append, Replace, "
                            "Lowercase, Strip or StripAccents",
                            shorten(type)));
  }
  return {};
}

}  // namespace weft::text
