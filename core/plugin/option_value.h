// One value against one declaration. Shared by the check of declarations (defaults) and of what users wrote.
#pragma once

#include <string_view>

#include "core/plugin/options.h"

namespace weft {

// "1..64", "a|b|c", "1s..10m": fills `range`; the error says why the text does not fit the type.
Result<OptionRange> parse_option_range(std::string_view text, OptionSpec::Type type);
// The value in the form that create() gets: units parsed, whole numbers widened where a number is declared.
// The error says what was found and what was expected, without naming the option.
Result<OptionValue> convert_option(const OptionDeclaration& declaration, const OptionValue& written);
// "true", "3", "\"5s\"", "[\"a\", \"b\"]" -> the value as if a user had written it.
Result<OptionValue> parse_toml_value(std::string_view text);

}  // namespace weft
