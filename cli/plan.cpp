#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/setup_options.h"

namespace weft::cli {
namespace {

struct PlanOptions {
  SetupOptions setup;
  bool json = false;
};

int run_plan(const PlanOptions& options) {
  int code = exit_ok;
  const auto setup = make_setup(options.setup, code);
  if (setup != nullptr) fmt::print("{}", options.json ? plan_json(setup->plan) : plan_table(setup->plan));
  return code;
}

}  // namespace

void add_plan(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("plan", "What would be launched where, and why; starts nothing");
  auto options = std::make_shared<PlanOptions>();
  add_setup_options(*command, options->setup);
  command->add_flag("--json", options->json, "As JSON");
  command->footer("Example:\n  weft plan -c weft.toml --set parallel.tensor=2");
  command->callback([options, &exit_code] { exit_code = run_plan(*options); });
}

}  // namespace weft::cli
