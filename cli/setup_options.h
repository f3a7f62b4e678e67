// -c, --set and --plugin-dir: the same for every command that reads weft.toml.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/setup.h"

namespace weft::cli {

inline void add_setup_options(CLI::App& command, SetupOptions& options) {
  command.add_option("-c,--config", options.config_file, "The TOML file")->type_name("FILE")->capture_default_str();
  command.add_option("--set", options.overrides, "Override a key: --set parallel.data=4 (may be repeated)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("--plugin-dir", options.plugin_dirs, "Look for plugins here first (may be repeated)")
      ->type_name("DIR")
      ->allow_extra_args(false);
}

}  // namespace weft::cli
