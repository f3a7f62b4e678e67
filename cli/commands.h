// One function a subcommand: declares its options, and says what to run when it is chosen.
#pragma once

#include <CLI/CLI.hpp>

namespace weft::cli {

// Each adds a subcommand to `app`; when it is chosen its callback puts the process's exit code into `exit_code`.
void add_run(CLI::App& app, int& exit_code);
void add_plan(CLI::App& app, int& exit_code);
void add_check(CLI::App& app, int& exit_code);
void add_config(CLI::App& app, int& exit_code);
void add_plugins(CLI::App& app, int& exit_code);
void add_plugins_new(CLI::App& plugins, int& exit_code);  // below `weft plugins`
void add_tokenize(CLI::App& app, int& exit_code);
void add_detokenize(CLI::App& app, int& exit_code);
void add_template(CLI::App& app, int& exit_code);
void add_bench(CLI::App& app, int& exit_code);
void add_agent(CLI::App& app, int& exit_code);
void add_worker(CLI::App& app, int& exit_code);

}  // namespace weft::cli
