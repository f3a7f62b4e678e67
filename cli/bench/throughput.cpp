// `weft bench throughput`: many requests at once.
#include <fmt/format.h>

#include "cli/bench/bench.h"
#include "cli/bench/cluster_bench.h"
#include "cli/bench/spread.h"

namespace weft::cli {
namespace {

int threads_of_all(const Plan& plan) {
  int threads = 0;
  for (const ReplicaPlan& replica : plan.replicas)
    for (const RankPlan& rank : replica.ranks)
      threads += rank.threads;
  return threads;
}

nlohmann::ordered_json throughput_figures(const ClusterFigures& measured) {
  const ClusterBenchOptions& options = measured.options;
  std::vector<double> seconds, first;
  for (const frontend::LoadReport& run : measured.runs) {
    seconds.push_back(run.seconds);
    for (const frontend::RequestTimes& request : run.requests)
      first.push_back(request.first_token);
  }
  const Spread taken = spread_of(seconds);
  const double requests = options.requests;
  const double generated = requests * options.output_tokens;
  const double all = generated + requests * options.prompt_tokens;
  const double rows = requests * static_cast<double>(rows_of(options.prompt_tokens, options.output_tokens));
  const double flops = quotient(measured.cost.operations(rows, generated), taken.median);
  const double single = quotient(measured.limits.read().median, measured.cost.step_bytes());
  return {{"throughput",
           {{"seconds", to_json(taken)},
            {"generated_tokens_per_second", quotient(generated, taken.median)},
            {"total_tokens_per_second", quotient(all, taken.median)},
            {"first_token_seconds", to_json(spread_of(first))},
            {"flops_per_second", flops},
            {"share_of_multiply_adds", quotient(flops, measured.limits.operations().median)},
            {"batch_1_limit_tokens_per_second", single},
            {"times_batch_1_limit", quotient(quotient(generated, taken.median), single)}}}};
}

std::string throughput_text(const nlohmann::ordered_json& report) {
  const nlohmann::ordered_json& found = report["throughput"];
  const nlohmann::ordered_json& requests = report["requests"];
  return fmt::format(
      "{} requests at once, {} + {} tokens: {}: {} generated tok/s, {} tok/s with prompts\n"
      "{} GFLOP/s, {} of the multiply-adds' limit; {:.1f} times what reads allow one request at a time ({} tok/s)\n"
      "first tokens after {}\n",
      requests["at_once"].get<int>(), requests["prompt_tokens"].get<int>(), requests["output_tokens"].get<int>(),
      to_text(spread_from(found["seconds"]), 1, "s"), number_text(found["generated_tokens_per_second"]),
      number_text(found["total_tokens_per_second"]), number_text(found["flops_per_second"].get<double>() * 1e-9),
      share_text(found["share_of_multiply_adds"]), found["times_batch_1_limit"].get<double>(),
      number_text(found["batch_1_limit_tokens_per_second"]),
      to_text(spread_from(found["first_token_seconds"]), 1, "s"));
}

}  // namespace

void add_bench_throughput(CLI::App& bench, int& exit_code) {
  CLI::App* command = bench.add_subcommand("throughput", "Many requests at once: tokens a second");
  auto options = std::make_shared<ClusterBenchOptions>();
  options->requests = 64;
  options->prompt_tokens = 128;
  options->output_tokens = 128;
  add_bench_options(*command, options->bench);
  add_count(*command, "--requests", options->requests, "How many, all at once");
  add_count(*command, "--prompt-tokens", options->prompt_tokens, "Tokens of each prompt, random ids");
  add_count(*command, "--output-tokens", options->output_tokens, "Tokens generated for each");
  command->add_option("--seed", options->seed, "Of the prompts")->capture_default_str();
  command->footer(
      "Held against f32 multiply-adds in registers with the threads of all ranks, two operations for each weight of "
      "the layers\n"
      "a token and of the head a generated token; attention is not counted.\n\n"
      "Examples:\n  weft bench throughput -c weft.toml\n"
      "  weft bench throughput --model bench-430m --set engine.kv_memory=512MiB --repeat 3");
  command->callback([options, &exit_code] {
    exit_code = run_cluster_bench(
        *options,
        {.name = "throughput", .threads = threads_of_all, .figures = throughput_figures, .text = throughput_text});
  });
}

}  // namespace weft::cli
