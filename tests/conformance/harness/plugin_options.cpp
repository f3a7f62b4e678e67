#include "tests/conformance/harness/plugin_options.h"

#include <fmt/format.h>

#include <optional>

#include "core/config/field.h"

namespace weft::conformance {
namespace {

constexpr const char* config_table = "config";

Result<OptionValue> value_of(const std::string& toml_text) {
  try {
    const toml::table parsed = toml::parse("value = " + toml_text);
    return config_detail::option_value(*parsed.get("value"));
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a TOML value: {}", toml_text, error.what()));
  }
}

}  // namespace

CheckedOptions plugin_options(const Profile& profile, const PluginInfo& plugin,
                              const std::vector<std::pair<std::string, std::string>>& overrides) {
  std::map<std::string, std::string> texts = profile.config;
  for (const auto& [key, text] : overrides)
    texts[key] = text;
  std::vector<UserOption> written;
  std::optional<OptionProblem> unreadable;
  for (const auto& [key, text] : texts) {
    const auto found = profile.config.find(key);
    const bool own = found != profile.config.end() && found->second == text;
    const std::string where = own ? profile.config_where.at(key) : "config." + key;
    if (Result<OptionValue> value = value_of(text))
      written.push_back({.key = key, .value = std::move(*value), .where = where});
    else
      unreadable = OptionProblem{where, fmt::format("[{}] '{}': {}", config_table, key, value.error().message)};
  }
  CheckedOptions checked = check_options(plugin.options, written, config_table,
                                         profile.path.empty() ? "--profile (none was given)" : profile.path);
  if (unreadable) checked.problems.insert(checked.problems.begin(), std::move(*unreadable));
  return checked;
}

Status check_plugin_options(const Profile& profile, const PluginInfo& plugin) {
  std::string all;
  for (const OptionProblem& problem : plugin_options(profile, plugin).problems)
    all += fmt::format("{}{}: {}", all.empty() ? "" : "\n", problem.where, problem.message);
  if (all.empty()) return {};
  return fail(ErrorCode::invalid_argument, std::move(all));
}

}  // namespace weft::conformance
