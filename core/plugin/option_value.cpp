#include "core/plugin/option_value.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include "core/plugin/suggest.h"
#include "core/plugin/units.h"

namespace weft {
namespace {

using Type = OptionSpec::Type;

std::string shown(const OptionValue& value) {
  struct Printer {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return fmt::format("{}", v); }
    std::string operator()(const std::string& v) const { return "\"" + v + "\""; }
    std::string operator()(const std::vector<std::string>& v) const {
      return fmt::format("[\"{}\"]", fmt::join(v, "\", \""));
    }
  };
  return std::visit(Printer{}, value);
}

tl::unexpected<Error> bad(std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); }

// The bounds of a type that is kept as int64, in the type's own notation.
Result<std::int64_t> parse_bound(std::string_view text, Type type) {
  if (type == Type::duration) {
    WEFT_ASSIGN(duration, parse_duration(text));
    return std::chrono::nanoseconds(duration).count();
  }
  if (type == Type::bytes) {
    WEFT_ASSIGN(bytes, parse_bytes(text));
    return static_cast<std::int64_t>(bytes);
  }
  WEFT_ASSIGN(value, parse_toml_value(text));
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return *whole;
  return bad(fmt::format("bound '{}' is not a whole number", text));
}

Result<double> parse_number_bound(std::string_view text) {
  WEFT_ASSIGN(value, parse_toml_value(text));
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
  if (const auto* number = std::get_if<double>(&value); number != nullptr && std::isfinite(*number)) return *number;
  return bad(fmt::format("bound '{}' is not a number", text));
}

Result<OptionRange> parse_words(std::string_view text) {
  OptionRange range;
  while (true) {
    const std::size_t bar = text.find('|');
    const std::string word(text.substr(0, bar));
    if (word.empty()) return bad("a word between '|' is empty");
    range.words.push_back(word);
    if (bar == std::string_view::npos) return range;
    text.remove_prefix(bar + 1);
  }
}

template <class T>
bool outside(T value, const std::optional<T>& least, const std::optional<T>& most) {
  return (least && value < *least) || (most && value > *most);
}

Status check_word(const OptionDeclaration& declaration, const std::string& word) {
  const auto& words = declaration.range.words;
  if (words.empty() || std::find(words.begin(), words.end(), word) != words.end()) return {};
  return bad(fmt::format("\"{}\" is none of {}{}", word, fmt::join(words, ", "), did_you_mean(word, words)));
}

Result<OptionValue> wrong_type(const OptionDeclaration& declaration, const OptionValue& written) {
  return bad(fmt::format("{} is not a {}", shown(written), to_string(declaration.type)));
}

Result<OptionValue> convert_whole(const OptionDeclaration& declaration, const OptionValue& written) {
  std::int64_t value = 0;
  if (const auto* whole = std::get_if<std::int64_t>(&written)) {
    if (declaration.type == Type::duration)
      return bad(fmt::format("{} has no unit; write it as in \"{}s\"", *whole, *whole));
    if (declaration.type == Type::bytes && *whole < 0) return bad(fmt::format("{} is negative", *whole));
    value = *whole;
  } else if (const auto* text = std::get_if<std::string>(&written);
             text != nullptr && declaration.type != Type::integer) {
    WEFT_ASSIGN(parsed, parse_bound(*text, declaration.type));
    value = parsed;
  } else {
    return wrong_type(declaration, written);
  }
  if (outside(value, declaration.range.least_int, declaration.range.most_int))
    return bad(fmt::format("{} is outside {}", shown(written), declaration.range_text));
  return OptionValue(value);
}

Result<OptionValue> convert_number(const OptionDeclaration& declaration, const OptionValue& written) {
  double value = 0;
  if (const auto* whole = std::get_if<std::int64_t>(&written))
    value = static_cast<double>(*whole);
  else if (const auto* number = std::get_if<double>(&written))
    value = *number;
  else
    return wrong_type(declaration, written);
  if (!std::isfinite(value)) return bad(fmt::format("{} is not finite", shown(written)));
  if (outside(value, declaration.range.least, declaration.range.most))
    return bad(fmt::format("{} is outside {}", shown(written), declaration.range_text));
  return OptionValue(value);
}

Result<OptionValue> from_toml(const toml::node& node) {
  if (const auto* v = node.as_boolean()) return OptionValue(v->get());
  if (const auto* v = node.as_integer()) return OptionValue(v->get());
  if (const auto* v = node.as_floating_point()) return OptionValue(v->get());
  if (const auto* v = node.as_string()) return OptionValue(v->get());
  const auto* list = node.as_array();
  if (list == nullptr) return bad("neither boolean, number, string nor list of strings");
  std::vector<std::string> words;
  for (const toml::node& element : *list) {
    const auto* word = element.as_string();
    if (word == nullptr) return bad("a list element is not a string");
    words.push_back(word->get());
  }
  return OptionValue(std::move(words));
}

}  // namespace

Result<OptionRange> parse_option_range(std::string_view text, Type type) {
  if (text.empty()) return bad("it is empty; leave it null where any value is legal");
  if (type == Type::boolean) return bad("a boolean has none");
  if (type == Type::string || type == Type::string_list) return parse_words(text);
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) return bad("it is not of the form 'least..most'");
  const std::string_view least = text.substr(0, dots);
  const std::string_view most = text.substr(dots + 2);
  OptionRange range;
  if (type == Type::number) {
    if (!least.empty()) WEFT_TRY(parse_number_bound(least).map([&](double v) { range.least = v; }));
    if (!most.empty()) WEFT_TRY(parse_number_bound(most).map([&](double v) { range.most = v; }));
    if (range.least && outside(*range.least, {}, range.most)) return bad("its least is above its most");
    return range;
  }
  if (!least.empty()) WEFT_TRY(parse_bound(least, type).map([&](std::int64_t v) { range.least_int = v; }));
  if (!most.empty()) WEFT_TRY(parse_bound(most, type).map([&](std::int64_t v) { range.most_int = v; }));
  if (range.least_int && outside(*range.least_int, {}, range.most_int)) return bad("its least is above its most");
  return range;
}

Result<OptionValue> convert_option(const OptionDeclaration& declaration, const OptionValue& written) {
  switch (declaration.type) {
    case Type::boolean:
      return std::holds_alternative<bool>(written) ? Result<OptionValue>(written) : wrong_type(declaration, written);
    case Type::integer:
    case Type::duration:
    case Type::bytes: return convert_whole(declaration, written);
    case Type::number: return convert_number(declaration, written);
    case Type::string: {
      const auto* word = std::get_if<std::string>(&written);
      if (word == nullptr) return wrong_type(declaration, written);
      WEFT_TRY(check_word(declaration, *word));
      return written;
    }
    case Type::string_list: {
      const auto* words = std::get_if<std::vector<std::string>>(&written);
      if (words == nullptr) return wrong_type(declaration, written);
      for (const std::string& word : *words)
        WEFT_TRY(check_word(declaration, word));
      return written;
    }
  }
  return wrong_type(declaration, written);
}

Result<OptionValue> parse_toml_value(std::string_view text) {
  try {
    const toml::table parsed = toml::parse(fmt::format("value = {}", text));
    const toml::node* const node = parsed.get("value");
    if (node == nullptr || parsed.size() != 1) return bad("more than one TOML value");
    return from_toml(*node);
  } catch (const toml::parse_error& error) {
    return bad(fmt::format("not a TOML value: {}", error.description()));
  }
}

}  // namespace weft
