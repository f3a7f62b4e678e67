#include <fmt/format.h>

#include <map>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/preflight.h"
#include "cli/setup_options.h"
#include "core/plugin/units.h"
#include "engine/model/runner_spec.h"

namespace weft::cli {
namespace {

struct CheckOptions {
  SetupOptions setup;
  bool print = false;
};

// Mebibytes with one decimal: sizes side by side are compared by eye.
std::string mebibytes(Bytes bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

// What every rank needs, beside what its node has. False if it cannot fit.
bool check_memory(const Setup& setup) {
  const Config& config = setup.config;
  std::map<std::string, Bytes> needed;
  fmt::print("{:>5}  {:<20} {:>14} {:>14} {:>14} {:>14}\n", "rank", "node", "weights", "KV cache", "workspace", "sum");
  for (const ReplicaPlan& replica : setup.plan.replicas)
    for (const RankPlan& rank : replica.ranks) {
      const auto estimate = engine::estimate_memory(setup.model, {.model_directory = config.model.path,
                                                                  .dtype = setup.dtype(),
                                                                  .max_context = config.model.max_context,
                                                                  .position = {.tp_rank = rank.tp,
                                                                               .tp_size = setup.plan.tensor,
                                                                               .pp_rank = rank.pp,
                                                                               .pp_size = setup.plan.pipeline},
                                                                  .block_size = config.engine.block_size,
                                                                  .max_batch_tokens = config.engine.max_batch_tokens,
                                                                  .max_requests = config.engine.max_requests});
      if (!estimate) {
        fmt::print(stderr, "rank {}: {}\n", rank.rank, estimate.error().message);
        return false;
      }
      if (rank.kv_memory < estimate->kv_block) {
        fmt::print(stderr, "rank {}: engine.kv_memory gives it {} bytes, a block of {} tokens takes {}; give it more\n",
                   rank.rank, rank.kv_memory, config.engine.block_size, estimate->kv_block);
        return false;
      }
      const Bytes sum = estimate->weights + rank.kv_memory + estimate->workspace;
      needed[rank.node] += sum;
      fmt::print("{:>5}  {:<20} {:>14} {:>14} {:>14} {:>14}\n", rank.rank, rank.node, mebibytes(estimate->weights),
                 mebibytes(rank.kv_memory), mebibytes(estimate->workspace), mebibytes(sum));
    }
  bool fits = true;
  for (const Node& node : setup.inventory.nodes) {
    const Bytes wanted = needed[node.name];
    fmt::print("node {}: {} of {} used\n", node.name, mebibytes(wanted),
               node.memory == 0 ? "unknown" : mebibytes(node.memory));
    if (node.memory == 0 || wanted <= node.memory) continue;
    fits = false;
    fmt::print(stderr, "node {}: its ranks need {}, it has {}; lower engine.kv_memory or the number of copies\n",
               node.name, mebibytes(wanted), mebibytes(node.memory));
  }
  return fits;
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
  int code = exit_ok;
  const auto setup = make_setup(options.setup, code);
  if (setup == nullptr) return code;
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
  if (!check_memory(*setup)) return exit_usage;
  if (const int text = check_text(*setup); text != exit_ok) return text;
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
