#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "core/config/schema.h"
#include "core/plugin/plugin_host.h"

namespace weft::cli {
namespace {

// With the options of every plugin that is found and can be read; one that cannot work here can be written about.
int print_schema(const std::vector<std::string>& plugin_dirs) {
  const PluginHost host({.search_path = SearchPath::standard(plugin_dirs)});
  std::vector<PluginInfo> plugins;
  for (const DiscoveredPlugin& plugin : host.discover()) {
    const bool readable = !plugin.refusal || plugin.refusal->stage == Stage::probe;
    if (readable && !plugin.shadowed)
      plugins.push_back(plugin.info);
    else if (!readable)
      fmt::print(stderr, "left out: {}\n", plugin.refusal->error.message);
  }
  fmt::print("{}\n", config_schema(plugins).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  return exit_ok;
}

}  // namespace

void add_config(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("config", "About weft.toml itself");
  command->require_subcommand(1);
  CLI::App* schema = command->add_subcommand(
      "schema",
      "A JSON Schema of weft.toml, with the options of the plugins found: for editors that complete and check");
  auto plugin_dirs = std::make_shared<std::vector<std::string>>();
  schema->add_option("--plugin-dir", *plugin_dirs, "Look for plugins here first (may be repeated)")
      ->type_name("DIR")
      ->allow_extra_args(false);
  schema->footer(
      "Example:\n"
      "  weft config schema > weft.schema.json\n"
      "and as the first line of weft.toml, for editors that know Taplo (Even Better TOML):\n"
      "  #:schema ./weft.schema.json");
  schema->callback([plugin_dirs, &exit_code] { exit_code = print_schema(*plugin_dirs); });
}

}  // namespace weft::cli
