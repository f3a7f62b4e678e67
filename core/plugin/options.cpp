#include "core/plugin/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "core/plugin/option_value.h"
#include "core/plugin/suggest.h"

namespace weft {
namespace {

constexpr std::size_t most_options = 256;

bool is_snake_case(std::string_view text) {
  if (text.empty() || text.size() > 64 || text.front() < 'a' || text.front() > 'z') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

bool is_blank(const char* text) {
  return text == nullptr || std::string_view(text).find_first_not_of(" \t\n") == std::string_view::npos;
}

// The value of an option that the user did not write, or nothing and a problem.
void add_default(const OptionDeclaration& option, std::string_view table, std::string_view table_where,
                 CheckedOptions& checked) {
  if (option.default_value) {
    checked.options.values.emplace_back(option.key, *option.default_value);
    return;
  }
  checked.problems.push_back({.where = std::string(table_where),
                              .message = fmt::format("[{}] '{}' is missing and has no default; it is a {}: {}", table,
                                                     option.key, to_string(option.type), option.help)});
}

}  // namespace

std::string_view to_string(OptionSpec::Type type) noexcept {
  switch (type) {
    case OptionSpec::Type::boolean: return "boolean";
    case OptionSpec::Type::integer: return "whole number";
    case OptionSpec::Type::number: return "number";
    case OptionSpec::Type::string: return "string";
    case OptionSpec::Type::duration: return "duration";
    case OptionSpec::Type::bytes: return "size";
    case OptionSpec::Type::string_list: return "list of strings";
  }
  return "unknown";
}

Result<OptionDeclaration> check_declaration(const OptionSpec& spec) {
  if (spec.key == nullptr || !is_snake_case(spec.key))
    return fail(ErrorCode::refused, fmt::format("option '{}': the key is not snake_case (a-z, 0-9, _; at most 64)",
                                                spec.key == nullptr ? "(null)" : spec.key));
  const auto refuse = [&spec](std::string_view why) {
    return fail(ErrorCode::refused, fmt::format("option '{}': {}", spec.key, why));
  };
  if (static_cast<std::uint32_t>(spec.type) > static_cast<std::uint32_t>(OptionSpec::Type::string_list))
    return refuse(fmt::format("unknown type {}", static_cast<std::uint32_t>(spec.type)));
  if (is_blank(spec.help)) return refuse("no help; expected one sentence that says what it does");
  OptionDeclaration declaration;
  declaration.key = spec.key;
  declaration.type = spec.type;
  declaration.help = spec.help;
  if (spec.range != nullptr) {
    declaration.range_text = spec.range;
    auto range = parse_option_range(spec.range, spec.type);
    if (!range) return refuse(fmt::format("illegal range '{}': {}", spec.range, range.error().message));
    declaration.range = *std::move(range);
  }
  if (spec.default_value != nullptr) {
    declaration.default_text = spec.default_value;
    auto value = parse_toml_value(spec.default_value).and_then([&](const OptionValue& written) {
      return convert_option(declaration, written);
    });
    if (!value) return refuse(fmt::format("illegal default {}: {}", spec.default_value, value.error().message));
    declaration.default_value = *std::move(value);
  }
  return declaration;
}

Result<std::vector<OptionDeclaration>> check_declarations(std::span<const OptionSpec> specs) {
  if (specs.size() > most_options)
    return fail(ErrorCode::refused, fmt::format("{} options, expected at most {}", specs.size(), most_options));
  std::vector<OptionDeclaration> declarations;
  std::set<std::string> seen;
  for (const OptionSpec& spec : specs) {
    WEFT_ASSIGN(declaration, check_declaration(spec));
    if (!seen.insert(declaration.key).second)
      return fail(ErrorCode::refused, fmt::format("option '{}' is declared twice", declaration.key));
    declarations.push_back(std::move(declaration));
  }
  return declarations;
}

CheckedOptions check_options(std::span<const OptionDeclaration> declared, std::span<const UserOption> values,
                             std::string_view table, std::string_view table_where) {
  CheckedOptions checked;
  std::vector<std::string> keys;
  for (const OptionDeclaration& option : declared)
    keys.push_back(option.key);
  std::set<std::string> written;
  for (const UserOption& user : values) {
    const auto problem = [&](std::string_view what) {
      checked.problems.push_back({.where = user.where, .message = fmt::format("[{}] {}", table, what)});
    };
    const auto found = std::find(keys.begin(), keys.end(), user.key);
    if (found == keys.end()) {
      problem(fmt::format("unknown key '{}'{}", user.key, did_you_mean(user.key, keys)));
      continue;
    }
    if (!written.insert(user.key).second) {
      problem(fmt::format("'{}' is given twice", user.key));
      continue;
    }
    auto value = convert_option(declared[static_cast<std::size_t>(found - keys.begin())], user.value);
    if (value)
      checked.options.values.emplace_back(user.key, *std::move(value));
    else
      problem(fmt::format("'{}': {}", user.key, value.error().message));
  }
  for (const OptionDeclaration& option : declared)
    if (written.count(option.key) == 0) add_default(option, table, table_where, checked);
  return checked;
}

}  // namespace weft
