// Options of plugins: what a plugin declares, what a user wrote, and the values that create() gets.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/plugin.h"
#include "weft/status.h"

namespace weft {

// What may be written, parsed from OptionSpec::range. Durations in nanoseconds, sizes in bytes.
struct OptionRange {
  std::optional<double> least, most;                // number
  std::optional<std::int64_t> least_int, most_int;  // integer, duration, bytes
  std::vector<std::string> words;                   // string, and each element of a string_list; empty: any
};

// One option of a plugin, checked and owned: it outlives the plugin's memory and crosses processes.
struct OptionDeclaration {
  std::string key;
  OptionSpec::Type type = OptionSpec::Type::string;
  std::optional<std::string> default_text;  // as declared; nullopt: the option is required
  std::optional<OptionValue> default_value;
  std::string range_text;  // as declared; empty: any
  OptionRange range;
  std::string help;
};

// One value as the user wrote it: durations and sizes are still strings with a unit.
struct UserOption {
  std::string key;
  OptionValue value;
  std::string where;  // "weft.toml:7:1", "--set executor.config.nice"
};

struct OptionProblem {
  std::string where;    // the UserOption's, or `table_where` for an option that is missing
  std::string message;  // "[executor.config] unknown key 'tensr'; did you mean 'tensor'?"
};

struct CheckedOptions {
  PluginOptions options;                // every declared option; only complete when there are no problems
  std::vector<OptionProblem> problems;  // all of them, in the user's order, then the missing ones
};

std::string_view to_string(OptionSpec::Type type) noexcept;

// Checks declarations: snake_case and unique keys, known types, help, a range that fits the type, a default
// inside it. refused: names the option, what was found and what was expected.
Result<std::vector<OptionDeclaration>> check_declarations(std::span<const OptionSpec> specs);
Result<OptionDeclaration> check_declaration(const OptionSpec& spec);

// Checks what the user wrote. `table` is its TOML table ("executor.config"), `table_where` its place in the
// file.
CheckedOptions check_options(std::span<const OptionDeclaration> declared, std::span<const UserOption> values,
                             std::string_view table, std::string_view table_where);

}  // namespace weft
