#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/preflight.h"
#include "cli/setup_options.h"

namespace weft::cli {
namespace {

struct CheckOptions {
  SetupOptions setup;
  bool print = false;
};

// What every rank needs, beside what its node has. Returns an exit code.
int check_memory(const Setup& setup) {
  const auto forecast = forecast_memory(setup);
  if (!forecast) {
    fmt::print(stderr, "{}\n", forecast.error().message);
    return exit_code_of(forecast.error());
  }
  for (const std::string& warning : forecast->warnings)
    fmt::print(stderr, "warning: {}\n", warning);
  fmt::print("{:>5}  {:<20} {:>14} {:>14} {:>14} {:>14}\n", "rank", "node", "weights", "KV cache", "workspace", "sum");
  for (const RankMemory& rank : forecast->ranks)
    fmt::print("{:>5}  {:<20} {:>14} {:>14} {:>14} {:>14}\n", rank.rank, rank.node, mebibytes(rank.bytes.weights),
               mebibytes(rank.bytes.cache), mebibytes(rank.bytes.workspace), mebibytes(rank.sum()));
  for (const NodeMemory& node : forecast->nodes)
    fmt::print("node {}: {} of {} used\n", node.node, mebibytes(node.wanted),
               node.has == 0 ? "unknown" : mebibytes(node.has));
  if (forecast->verdict) return exit_ok;
  fmt::print(stderr, "{}\n", forecast->verdict.error().message);
  return exit_code_of(forecast->verdict.error());
}

// Tokenizer and chat template. Returns an exit code.
int check_text(const Setup& setup) {
  const auto text = read_text_side(setup);
  if (!text) {
    fmt::print(stderr, "{}\n", text.error().message);
    return exit_code_of(text.error());
  }
  for (const auto* lines : {&text->warnings, &text->notes})
    for (const std::string& line : *lines)
      fmt::print(stderr, "warning: {}\n", line);
  return exit_ok;
}

int run_check(const CheckOptions& options) {
  int refused = exit_ok;
  const auto setup = make_setup(options.setup, refused);
  if (setup == nullptr) return refused;
  if (options.print) {
    fmt::print("# resolved configuration, hash {}\n", hash_config(setup->config));
    for (const std::string& reason : setup->plan.reasons)
      fmt::print("# {}\n", reason);
    fmt::print("{}", print_config(setup->config));
    return exit_ok;
  }
  const ModelShape& shape = setup->model.shape;
  fmt::print("model {}: {}, {} layers, hidden {}, {} / {} heads, vocabulary {}, context {}, runs in {}\n",
             setup->config.model.path, shape.architecture, shape.layers, shape.hidden, shape.query_heads,
             shape.kv_heads, shape.vocabulary, shape.max_context, to_string(setup->dtype()));
  for (const LoadedPlugin* plugin :
       {setup->executor.plugin(), setup->communicator, setup->device, setup->balancer.plugin()})
    fmt::print("plugin {} {}: {}\n", plugin->id(), plugin->info.version, plugin->info.file);
  for (const std::string& warning : setup->plan.warnings)
    fmt::print(stderr, "warning: {}\n", warning);
  for (const auto look : {check_memory, check_text})
    if (const int code = look(*setup); code != exit_ok) return code;
  fmt::print("ok: configuration {}\n", hash_config(setup->config));
  return exit_ok;
}

}  // namespace

void add_check(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("check", "Configuration, plugins, model files and memory; starts nothing");
  auto options = std::make_shared<CheckOptions>();
  add_setup_options(*command, options->setup);
  command->add_flag("--print", options->print, "Print the resolved configuration as TOML, defaults included");
  command->footer("Example:\n  weft check -c weft.toml --print");
  command->callback([options, &exit_code] { exit_code = run_check(*options); });
}

}  // namespace weft::cli
