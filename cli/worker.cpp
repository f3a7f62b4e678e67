#include "worker/worker.h"

#include "cli/commands.h"
#include "cli/setup.h"

namespace weft::cli {

void add_worker(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("worker", "Started by executors; not for people");
  command->group("");  // not in the list
  command->callback([&exit_code] { exit_code = worker::run_worker(build_identity()); });
}

}  // namespace weft::cli
