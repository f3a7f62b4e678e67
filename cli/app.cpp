#include "cli/app.h"

#include <fmt/format.h>

#include <csignal>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/setup.h"
#include "core/plugin/crash_blame.h"

namespace weft::cli {

int run_app(int argc, char** argv) {
  // A peer that is gone is an error value, not a signal.
  (void)std::signal(SIGPIPE, SIG_IGN);
  const CrashBlame blame;  // a worker's, too
  CLI::App app{"weft launches, feeds and keeps alive copies of a language model (DP x TP x PP) from one TOML file."};
  app.footer(
      "The smallest useful file:\n"
      "  [model]\n"
      "  path = \"models/weft-tiny\"\n\n"
      "Example:\n"
      "  weft run -c weft.toml -i prompts.jsonl -o results.jsonl\n\n"
      "Exit codes: 0 ok, 1 some requests failed or are left, 2 usage or configuration, 3 not found, 4 refused "
      "(plugin),\n"
      "5 the cluster could not start, 130 interrupted.");
  app.set_version_flag("--version", build_identity());
  app.require_subcommand(1);
  int exit_code = exit_ok;
  add_run(app, exit_code);
  add_plan(app, exit_code);
  add_check(app, exit_code);
  add_config(app, exit_code);
  add_plugins(app, exit_code);
  add_tokenize(app, exit_code);
  add_detokenize(app, exit_code);
  add_template(app, exit_code);
  add_bench(app, exit_code);
  add_agent(app, exit_code);
  add_worker(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_ok : exit_usage;
  } catch (const std::exception& error) {
    fmt::print(stderr, "weft: {}\n", error.what());
    return exit_usage;
  }
  return exit_code;
}

}  // namespace weft::cli
