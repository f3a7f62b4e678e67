// `weft bench latency`: one request at a time.
#include <fmt/format.h>

#include "cli/bench/bench.h"
#include "cli/bench/cluster_bench.h"
#include "cli/bench/spread.h"

namespace weft::cli {
namespace {

// On a busy machine a first token may be told late, together with those after it: below this that is most of what is timed.
constexpr double least_decode_seconds = 0.05;

// Those of one stage of one replica: the stages of a pipeline take turns over a single request.
int threads_of_one_request(const Plan& plan) {
  int threads = 0;
  for (const RankPlan& rank : plan.replicas.front().ranks)
    if (rank.pp == 0) threads += rank.threads;
  return threads;
}

nlohmann::ordered_json latency_figures(const ClusterFigures& measured) {
  std::vector<double> first, after, each;
  for (const frontend::LoadReport& run : measured.runs) {
    const frontend::RequestTimes& request = run.requests.front();
    first.push_back(request.first_token - request.submitted);
    after.push_back(request.last_token - request.first_token);
    each.push_back(after.back() / static_cast<double>(request.tokens - 1));
  }
  const Spread prefill = spread_of(first);
  const Spread decode = spread_of(each);
  const double prompt = measured.options.prompt_tokens;
  const double flops = quotient(measured.cost.operations(prompt, 1), prefill.median);
  const double bytes = quotient(measured.cost.step_bytes(), decode.median);
  return {{"prefill",
           {{"first_token_seconds", to_json(prefill)},
            {"tokens_per_second", quotient(prompt, prefill.median)},
            {"flops_per_second", flops},
            {"share_of_multiply_adds", quotient(flops, measured.limits.operations().median)}}},
          {"decode",
           {{"seconds", to_json(spread_of(after))},
            {"token_seconds", to_json(decode)},
            {"tokens_per_second", quotient(1, decode.median)},
            {"read_bytes_per_second", bytes},
            {"share_of_reads", quotient(bytes, measured.limits.read().median)}}}};
}

std::string latency_text(const nlohmann::ordered_json& report) {
  const nlohmann::ordered_json& prefill = report["prefill"];
  const nlohmann::ordered_json& decode = report["decode"];
  std::string text = fmt::format(
      "first token of a prompt of {}: {}: {} tok/s, {} GFLOP/s, {} of the multiply-adds' limit\n"
      "decode at batch 1: {} a token: {} tok/s, {} GB/s of weights, {} of the reads' limit\n",
      report["requests"]["prompt_tokens"].get<int>(), to_text(spread_from(prefill["first_token_seconds"]), 1e3, "ms"),
      number_text(prefill["tokens_per_second"]), number_text(prefill["flops_per_second"].get<double>() * 1e-9),
      share_text(prefill["share_of_multiply_adds"]), to_text(spread_from(decode["token_seconds"]), 1e3, "ms"),
      number_text(decode["tokens_per_second"]), number_text(decode["read_bytes_per_second"].get<double>() * 1e-9),
      share_text(decode["share_of_reads"]));
  if (const double taken = decode["seconds"]["median"]; taken < least_decode_seconds)
    text += fmt::format("(all further tokens took {} ms: too short to be timed well; raise --output-tokens)\n",
                        number_text(taken * 1e3));
  return text;
}

}  // namespace

void add_bench_latency(CLI::App& bench, int& exit_code) {
  CLI::App* command = bench.add_subcommand(
      "latency", "One request at a time: time to the first token, time of each further one, and where the start went");
  auto options = std::make_shared<ClusterBenchOptions>();
  options->prompt_tokens = 512;
  options->output_tokens = 128;
  add_bench_options(*command, options->bench);
  add_count(*command, "--prompt-tokens", options->prompt_tokens, "Tokens of the prompt, random ids");
  command->add_option("--output-tokens", options->output_tokens, "Tokens generated for it")
      ->check(CLI::Range(2, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Of the prompts")->capture_default_str();
  command->footer(
      "Prefill is held against f32 multiply-adds in registers, decoding against plain reads of as many bytes as a "
      "step's\n"
      "weights, both measured before each repetition with the threads of one stage of one replica.\n\n"
      "Examples:\n  weft bench latency -c weft.toml\n"
      "  weft bench latency --model bench-100m --set parallel.threads=1 --json latency.json");
  command->callback([options, &exit_code] {
    exit_code = run_cluster_bench(
        *options,
        {.name = "latency", .threads = threads_of_one_request, .figures = latency_figures, .text = latency_text});
  });
}

}  // namespace weft::cli
