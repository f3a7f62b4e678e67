#include "cli/bench/bench.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "cli/bench/bench_model.h"
#include "cli/bench/cost.h"
#include "cli/bench/spread.h"
#include "cli/commands.h"

namespace weft::cli {

void add_bench_options(CLI::App& command, BenchOptions& options) {
  add_setup_options(command, options.setup);
  command
      .add_option(
          "--model", options.model,
          "A model's directory, or bench-100m or bench-430m (random weights, bf16, made on demand in the user's "
          "cache folder), with defaults for all else: in place of -c")
      ->type_name("NAME|DIR")
      ->excludes(command.get_option("--config"));
  command.add_option("--json", options.json, "Write the figures here as JSON")->type_name("FILE");
  command.add_option("--repeat", options.repeat, "How often each figure is measured; medians are told")
      ->check(CLI::Range(1, 1000))
      ->type_name("N")
      ->capture_default_str();
}

void add_count(CLI::App& command, const std::string& name, std::int32_t& value, const std::string& help) {
  command.add_option(name, value, help)->check(CLI::Range(1, 1 << 20))->type_name("N")->capture_default_str();
}

Status prepare(BenchOptions& options) {
  if (!options.json.empty() && !std::ofstream(options.json, std::ios::app))
    return fail(ErrorCode::permission_denied,
                fmt::format("--json {}: cannot be written; name a file in a folder that can", options.json));
  if (options.model.empty()) return {};
  WEFT_ASSIGN(directory, resolve_model(options.model));
  options.setup.model_directory = directory;
  return {};
}

int failed_with(const Error& error, int code) {
  fmt::print(stderr, "{}\n", error.message);
  return code;
}

nlohmann::ordered_json report_head(const std::string& benchmark, const Setup& setup, const BenchOptions& options) {
  const ModelShape& shape = setup.model.shape;
  const ModelCost cost = ModelCost::of(engine::count_weights(setup.model), setup.dtype());
  const Config& config = setup.config;
  return {{"benchmark", benchmark},
          {"weft", build_identity()},
          {"repeat", options.repeat},
          {"model",
           {{"path", config.model.path},
            {"architecture", shape.architecture},
            {"layers", shape.layers},
            {"hidden", shape.hidden},
            {"vocabulary", shape.vocabulary},
            {"dtype", to_string(setup.dtype())},
            {"layer_weights", cost.layer_weights},
            {"head_weights", cost.head_weights},
            {"bytes_a_step", cost.step_bytes()}}},
          {"parallel",
           {{"data", setup.plan.data},
            {"tensor", setup.plan.tensor},
            {"pipeline", setup.plan.pipeline},
            {"threads", setup.plan.replicas.front().ranks.front().threads}}},
          {"plugins",
           {{"executor", config.executor.plugin},
            {"communicator", setup.plan.communicator},
            {"device", setup.plan.device},
            {"balancer", config.balancer.plugin}}}};
}

std::string report_head_text(const Setup& setup) {
  const ModelShape& shape = setup.model.shape;
  const ModelCost cost = ModelCost::of(engine::count_weights(setup.model), setup.dtype());
  return fmt::format(
      "{}: {}, {} layers, hidden {}, {}; a step reads {} MB of weights\n"
      "data {}, tensor {}, pipeline {}, threads {}; device {}, communicator {}, executor {}\n",
      setup.config.model.path, shape.architecture, shape.layers, shape.hidden, to_string(setup.dtype()),
      number_text(cost.step_bytes() * 1e-6), setup.plan.data, setup.plan.tensor, setup.plan.pipeline,
      setup.plan.replicas.front().ranks.front().threads, setup.plan.device, setup.plan.communicator,
      setup.config.executor.plugin);
}

Status write_report(const std::string& path, const nlohmann::ordered_json& report) {
  if (path.empty()) return {};
  std::ofstream file(path);
  file << report.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << std::endl;
  if (!file) return fail(ErrorCode::permission_denied, fmt::format("--json {}: cannot be written", path));
  return {};
}

void add_bench(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("bench", "Figures with their share of the machine's limit");
  command->require_subcommand(1);
  add_bench_latency(*command, exit_code);
  add_bench_throughput(*command, exit_code);
  add_bench_kernels(*command, exit_code);
  add_bench_model(*command, exit_code);
  command->footer("Example:\n  weft bench latency --model bench-100m");
}

}  // namespace weft::cli
