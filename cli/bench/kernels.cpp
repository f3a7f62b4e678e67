// `weft bench kernels`: the device alone.
#include <fmt/format.h>

#include <atomic>

#include "cli/bench/bench.h"
#include "cli/bench/kernel_bench.h"
#include "cli/exit_code.h"
#include "cli/run_guard.h"
#include "cli/start.h"
#include "core/telemetry/log.h"
#include "worker/runner_spec.h"

namespace weft::cli {
namespace {

constexpr Duration interrupt_patience = std::chrono::seconds(10);

struct KernelOptions {
  BenchOptions bench;
  std::vector<std::int32_t> batches = {1, 2, 4, 8, 16, 32};
  std::int32_t prompt_tokens = 512;
  std::int32_t context = 1024;
};

// As a rank's worker makes it, but for the binding to cores, which the executor does.
Result<PluginHandle<Device>> make_device(const Setup& setup, int threads, PluginHostServices& services) {
  PluginOptions options = setup.device_options;
  worker::plan_threads(options, threads);
  return create_plugin<Device>(*setup.device, options, services);
}

int run_kernels(KernelOptions options) {
  if (const Status prepared = prepare(options.bench); !prepared)
    return failed_with(prepared.error(), exit_code_of(prepared.error()));
  RunGuard guard;
  Interrupts interrupts;
  int code = exit_ok;
  const auto setup = make_setup(options.bench.setup, code, [&] { interrupts.begin(); });
  if (setup == nullptr) return code;
  const Plan& plan = setup->plan;
  const auto rank = engine::rank_shape(setup->model.shape, {.tp_size = plan.tensor});
  if (!rank) return failed_with(rank.error(), exit_usage);
  const int threads = plan.replicas.front().ranks.front().threads;
  std::atomic<bool> stopped{false};
  const Listening listening(
      interrupts, [&] { stopped = true; }, interrupt_patience);
  PluginHostServices services({.plugin = setup->device->id(), .metrics = &setup->metrics});
  const auto device = make_device(*setup, threads, services);
  if (!device) return failed_with(device.error(), exit_refused);
  log::info("bench", "measuring {}", (*device)->info().description);
  const auto figures = bench_kernels({.device = **device,
                                      .model = setup->model,
                                      .rank = *rank,
                                      .type = setup->dtype(),
                                      .block_size = setup->config.engine.block_size,
                                      .threads = threads,
                                      .repeat = options.bench.repeat,
                                      .batches = options.batches,
                                      .prompt_tokens = options.prompt_tokens,
                                      .context = options.context,
                                      .stop = [&] { return stopped.load(); }});
  if (stopped) return failed_with({ErrorCode::cancelled, "interrupted: there are no figures"}, exit_interrupted);
  if (!figures) return failed_with(figures.error(), exit_some_failed);
  nlohmann::ordered_json report = report_head("kernels", *setup, options.bench);
  report["device"] = {{"description", (*device)->info().description}, {"threads", threads}};
  report["kernels"] = nlohmann::ordered_json::array();
  for (const KernelFigure& figure : *figures)
    report["kernels"].push_back(to_json(figure));
  fmt::print("{}{}\n{}", report_head_text(*setup), (*device)->info().description, kernel_table(*figures));
  if (const Status written = write_report(options.bench.json, report); !written)
    return failed_with(written.error(), exit_usage);
  return exit_ok;
}

}  // namespace

void add_bench_kernels(CLI::App& bench, int& exit_code) {
  CLI::App* command = bench.add_subcommand(
      "kernels", "The device alone: products and attention on the model's shapes, in this process");
  auto options = std::make_shared<KernelOptions>();
  add_bench_options(*command, options->bench);
  command->add_option("--batch", options->batches, "Sequences that decode together: --batch 1,8")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096))
      ->type_name("N,...")
      ->capture_default_str();
  add_count(*command, "--prompt-tokens", options->prompt_tokens, "Rows of a prefill");
  add_count(*command, "--context", options->context, "Tokens in the cache of each sequence that decodes");
  command->footer(
      "Matrices, keys and values are those of consecutive layers, up to 256 MiB. Limits: plain reads of as many bytes, "
      "and f32\n"
      "multiply-adds in registers, with the device's threads; the share told is of the one that leaves less time.\n\n"
      "Example:\n  weft bench kernels --model bench-100m --set parallel.threads=1");
  command->callback([options, &exit_code] { exit_code = run_kernels(*options); });
}

}  // namespace weft::cli
