#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "core/plugin/describe.h"
#include "core/plugin/plugin_host.h"
#include "core/plugin/units.h"

namespace weft::cli {
namespace {

struct PluginsOptions {
  std::vector<std::string> plugin_dirs;
  std::string which;  // kind/name
  std::string timeout = "10s";
  bool strict = false;
  bool create = false;
  bool json = false;
  bool markdown = false;
};

// Those with this file name; all where it is empty.
Result<std::vector<DiscoveredPlugin>> discover(const PluginsOptions& options, const std::string& only = {}) {
  WEFT_ASSIGN_CONTEXT(limit, parse_duration(options.timeout), "--timeout");
  if (limit <= Duration::zero())
    return fail(ErrorCode::invalid_argument, "--timeout: found 0s, expected a duration above zero");
  const PluginHost host({.search_path = SearchPath::standard(options.plugin_dirs), .strict = options.strict});
  return host.discover(
      {.limit = std::chrono::ceil<std::chrono::milliseconds>(limit), .create = options.create, .only = only});
}

int usage_error(const std::string& message) {
  fmt::print(stderr, "weft plugins: {}\n", message);
  return exit_usage;
}

void print(const nlohmann::ordered_json& json) {
  // A file's name need not be UTF-8.
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

// A slip in a path would otherwise look like a folder without plugins.
void warn_of_missing(const std::vector<std::string>& directories) {
  for (const std::string& directory : directories)
    if (std::error_code failed; !std::filesystem::is_directory(directory, failed))
      fmt::print(stderr, "warning: --plugin-dir {}: there is no such directory\n", directory);
}

int list(const PluginsOptions& options) {
  warn_of_missing(options.plugin_dirs);
  const auto found = discover(options);
  if (!found) return usage_error(found.error().message);
  if (options.json)
    print(plugins_json(*found));
  else
    fmt::print("{}", options.markdown ? plugins_markdown(*found) : plugins_text(*found));
  if (found->empty()) fmt::print(stderr, "no plugin found; --plugin-dir and WEFT_PLUGIN_PATH say where else to look\n");
  return exit_ok;
}

int inspect(const PluginsOptions& options) {
  const std::size_t slash = options.which.find('/');
  if (slash == std::string::npos)
    return usage_error(fmt::format("'{}' is no plugin; expected kind/name, as in executor/mp", options.which));
  const auto found =
      discover(options, plugin_file_name(options.which.substr(0, slash), options.which.substr(slash + 1)));
  if (!found) return usage_error(found.error().message);
  if (found->empty()) {
    fmt::print(stderr, "no plugin {}; `weft plugins list` shows what there is\n", options.which);
    return exit_not_found;
  }
  const DiscoveredPlugin& plugin = found->front();  // the others are shadowed by it
  if (options.json)
    print(plugin_json(plugin));
  else
    fmt::print("{}", options.markdown ? plugin_markdown(plugin) : plugin_text(plugin));
  return exit_ok;
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
    sub->add_option("--timeout", options->timeout, "How long one file may take")
        ->type_name("DURATION")
        ->capture_default_str();
    sub->add_flag("--strict", options->strict, "Refuse files that a group may write, as under plugins.strict");
    CLI::Option* json = sub->add_flag("--json", options->json, "As JSON");
    sub->add_flag("--markdown", options->markdown, "As Markdown")->excludes(json);
  };
  CLI::App* list_command = command->add_subcommand("list", "One row a file, each probed in a process of its own");
  common(list_command);
  list_command->add_flag("--create", options->create,
                         "Also make an object of each with its default options, and give it back");
  list_command->footer("Example:\n  weft plugins list");
  list_command->callback([options, &exit_code] { exit_code = list(*options); });
  CLI::App* inspect_command = command->add_subcommand(
      "inspect",
      "One plugin: file, stages passed, capabilities provided and lacked, options; makes an object of it in "
      "a process of its own");
  inspect_command->add_option("plugin", options->which, "kind/name")->required()->type_name("KIND/NAME");
  common(inspect_command);
  inspect_command->footer("Example:\n  weft plugins inspect executor/mp");
  inspect_command->callback([options, &exit_code] {
    options->create = true;
    exit_code = inspect(*options);
  });
  add_plugins_new(*command, exit_code);
}

}  // namespace weft::cli
