#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "core/plugin/plugin_host.h"

namespace weft::cli {
namespace {

struct PluginsOptions {
  std::vector<std::string> plugin_dirs;
  std::string which;  // kind/name
  bool json = false;
};

nlohmann::ordered_json as_json(const DiscoveredPlugin& plugin) {
  nlohmann::ordered_json options = nlohmann::ordered_json::array();
  for (const OptionDeclaration& option : plugin.info.options)
    options.push_back({{"key", option.key},
                       {"type", to_string(option.type)},
                       {"default", option.default_text.value_or("")},
                       {"required", !option.default_text.has_value()},
                       {"range", option.range_text},
                       {"help", option.help}});
  nlohmann::ordered_json json = {{"kind", plugin.info.kind},
                                 {"name", plugin.info.name},
                                 {"version", plugin.info.version},
                                 {"summary", plugin.info.summary},
                                 {"file", plugin.file},
                                 {"origin", plugin.origin},
                                 {"sha256", plugin.info.sha256},
                                 {"fingerprint", plugin.info.fingerprint},
                                 {"capabilities", plugin.info.capabilities},
                                 {"options", std::move(options)},
                                 {"shadowed", plugin.shadowed},
                                 {"usable", !plugin.refusal.has_value()}};
  if (plugin.refusal) {
    json["refused_at"] = plugin.refusal->stage ? to_string(*plugin.refusal->stage) : "";
    json["refused_because"] = plugin.refusal->error.message;
  }
  return json;
}

std::vector<DiscoveredPlugin> discover(const PluginsOptions& options) {
  PluginHost host({.search_path = SearchPath::standard(options.plugin_dirs)});
  return host.discover();
}

int list(const PluginsOptions& options) {
  const auto found = discover(options);
  if (options.json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const DiscoveredPlugin& plugin : found)
      all.push_back(as_json(plugin));
    fmt::print("{}\n", all.dump(2));
    return exit_ok;
  }
  if (found.empty()) fmt::print(stderr, "no plugin found; --plugin-dir and WEFT_PLUGIN_PATH say where else to look\n");
  for (const DiscoveredPlugin& plugin : found) {
    const std::string id = plugin.info.kind.empty() ? "(unknown)" : plugin.info.kind + "/" + plugin.info.name;
    fmt::print("{:<28} {:<8} {}\n", id, plugin.info.version,
               plugin.refusal    ? "refused: " + plugin.refusal->error.message
               : plugin.shadowed ? "shadowed by an earlier directory: " + plugin.file
                                 : plugin.info.summary);
  }
  return exit_ok;
}

int inspect(const PluginsOptions& options) {
  for (const DiscoveredPlugin& plugin : discover(options)) {
    if (plugin.info.kind + "/" + plugin.info.name != options.which || plugin.shadowed) continue;
    if (options.json) {
      fmt::print("{}\n", as_json(plugin).dump(2));
      return exit_ok;
    }
    const PluginInfo& info = plugin.info;
    fmt::print(
        "{} {}\n{}\n\nfile          {}\nsha256        {}\nfingerprint   {}\ncapabilities  {}\nstate         {}\n",
        options.which, info.version, info.summary, plugin.file, info.sha256, info.fingerprint,
        info.capabilities.empty() ? "none" : fmt::format("{}", fmt::join(info.capabilities, ", ")),
        plugin.refusal ? "refused: " + plugin.refusal->error.message : "usable here");
    for (const OptionDeclaration& option : info.options)
      fmt::print("\n{} ({}, {}{})\n    {}\n", option.key, to_string(option.type),
                 option.default_text ? "default " + *option.default_text : "required",
                 option.range_text.empty() ? "" : ", " + option.range_text, option.help);
    return exit_ok;
  }
  fmt::print(stderr, "no plugin {}; `weft plugins list` shows what there is\n", options.which);
  return exit_not_found;
}

}  // namespace

void add_plugins(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("plugins", "Every plugin found, and why the others were refused");
  command->require_subcommand(1);
  auto options = std::make_shared<PluginsOptions>();
  const auto common = [&](CLI::App* sub) {
    sub->add_option("--plugin-dir", options->plugin_dirs, "Look here first (may be repeated)")
        ->type_name("DIR")
        ->allow_extra_args(false);
    sub->add_flag("--json", options->json, "As JSON");
  };
  CLI::App* list_command = command->add_subcommand("list", "One row a file, each probed in a process of its own");
  common(list_command);
  list_command->footer("Example:\n  weft plugins list");
  list_command->callback([options, &exit_code] { exit_code = list(*options); });
  CLI::App* inspect_command = command->add_subcommand("inspect", "Identity, capabilities and options of one plugin");
  inspect_command->add_option("plugin", options->which, "kind/name")->required()->type_name("KIND/NAME");
  common(inspect_command);
  inspect_command->footer("Example:\n  weft plugins inspect executor/mp");
  inspect_command->callback([options, &exit_code] { exit_code = inspect(*options); });
  add_plugins_new(*command, exit_code);
}

}  // namespace weft::cli
