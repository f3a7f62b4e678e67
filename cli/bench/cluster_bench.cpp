#include "cli/bench/cluster_bench.h"

#include <fmt/format.h>

#include <set>

#include "cli/exit_code.h"
#include "cli/run_guard.h"
#include "cli/start.h"
#include "core/telemetry/log.h"

namespace weft::cli {
namespace {

std::vector<ReplicaId> replicas_of(const Plan& plan) {
  std::vector<ReplicaId> ids;
  for (const ReplicaPlan& replica : plan.replicas)
    ids.push_back(replica.dp);
  return ids;
}

void warn(const std::string& text) { fmt::print(stderr, "warning: {}\n", text); }

// What would make figures mean something else than their name says.
void tell_doubts(const Setup& setup, const ClusterBenchOptions& options) {
  std::set<std::string> nodes;
  for (const ReplicaPlan& replica : setup.plan.replicas)
    for (const RankPlan& rank : replica.ranks)
      nodes.insert(rank.node);
  if (nodes.size() > 1)
    warn(fmt::format("ranks are on {} nodes: the limits are measured on this one alone", nodes.size()));
  const Config& config = setup.config;
  const RankPlan& rank = setup.plan.replicas.front().ranks.front();
  const auto& stages = setup.device_answer.kv_block;
  if (stages.empty() || stages.front() == 0) return;  // the start says it better
  const std::int64_t tokens = rows_of(options.prompt_tokens, options.output_tokens) + 1;
  const std::int64_t blocks = (tokens + config.engine.block_size - 1) / config.engine.block_size;
  const std::int64_t requests = (options.requests + setup.plan.data - 1) / setup.plan.data;
  const auto needed = static_cast<Bytes>(blocks * requests) * stages.front();
  if (needed > rank.kv_memory)
    warn(
        fmt::format("engine.kv_memory gives a rank {} MiB, {} requests at once take {}: some wait or begin again; "
                    "--set engine.kv_memory={}MiB holds all",
                    rank.kv_memory >> 20, requests, (needed >> 20) + 1, (needed >> 20) + 1));
}

struct Measured {
  nlohmann::ordered_json start;
  std::vector<frontend::LoadReport> runs;
};

// The warm-up, and the repetitions. Its prompts have numbers of their own, so that none is like another.
Result<Measured> measure(const ClusterBenchOptions& options, const Setup& setup, const StartTimes& times,
                         Router& router, frontend::Load& load, Limits& limits) {
  const std::vector<ReplicaId> replicas = replicas_of(setup.plan);
  const auto requests = [&](std::int32_t count, int run) {
    return frontend::random_requests(count, options.prompt_tokens, options.output_tokens, setup.model.shape.vocabulary,
                                     options.seed * 1000003 + static_cast<std::uint64_t>(run));
  };
  Measured measured;
  WEFT_ASSIGN(first, load.run(router, requests(1, 0), replicas));
  measured.start = start_json(times, first.requests.front().first_token);
  for (int run = 1; run <= options.bench.repeat; ++run) {
    limits.measure();
    WEFT_ASSIGN(report, load.run(router, requests(options.requests, run), replicas));
    log::debug("bench", "repetition {} of {}: {:.3f} s", run, options.bench.repeat, report.seconds);
    measured.runs.push_back(std::move(report));
  }
  return measured;
}

}  // namespace

Status check_lengths(const ClusterBenchOptions& options, std::int32_t max_context) {
  const std::int64_t tokens = std::int64_t{options.prompt_tokens} + options.output_tokens;
  if (tokens <= max_context) return {};
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("--prompt-tokens {} and --output-tokens {} are {} tokens, the model's context has {}: lower them, "
                  "or raise model.max_context if the model allows it",
                  options.prompt_tokens, options.output_tokens, tokens, max_context));
}

int run_cluster_bench(ClusterBenchOptions options, const ClusterBench& bench) {
  if (const Status prepared = prepare(options.bench); !prepared)
    return failed_with(prepared.error(), exit_code_of(prepared.error()));
  StartTimes times;  // the making of a model is not part of a start
  RunGuard guard;
  Interrupts interrupts;
  int code = exit_ok;
  const auto setup = make_setup(options.bench.setup, code, [&] { interrupts.begin(); });
  if (setup == nullptr) return code;
  const Config& config = setup->config;
  for (const std::string& warning : setup->plan.warnings)
    log::warn("plan", "{}", warning);
  if (const Status fits = check_lengths(options, config.model.max_context.value_or(setup->model.shape.max_context));
      !fits)
    return failed_with(fits.error(), exit_usage);
  tell_doubts(*setup, options);
  const ModelCost cost = ModelCost::of(engine::count_weights(setup->model), setup->dtype());
  Limits limits(bench.threads(setup->plan), cost.step_bytes());
  times.plan = seconds_since(times.start);

  frontend::Load load;
  StartingCluster starting;
  const Listening listening(
      interrupts,
      [&] {
        load.interrupt();
        starting.stop();
      },
      patience_of(config));
  const auto head = start_cluster({.component = "bench",
                                   .setup = *setup,
                                   .events = load,
                                   .lost = [&](const Error& why) { load.give_up(why); },
                                   .guard = guard,
                                   .starting = starting,
                                   .times = times},
                                  code);
  if (head == nullptr) return code;
  auto measured = measure(options, *setup, times, head->router(), load, limits);
  if (!measured && measured.error().code == ErrorCode::cancelled)
    return failed_with({ErrorCode::cancelled, "interrupted: there are no figures"}, exit_interrupted);
  if (!measured) return failed_with(measured.error(), exit_some_failed);
  const Status settled = settle(*head, config, "bench");
  if (!settled) return failed_with(settled.error(), exit_some_failed);
  (void)head->cluster().stop(stop_grace);  // the leaders' last figures come before their end

  nlohmann::ordered_json report = report_head(bench.name, *setup, options.bench);
  report["requests"] = {{"at_once", options.requests},
                        {"prompt_tokens", options.prompt_tokens},
                        {"output_tokens", options.output_tokens},
                        {"seed", options.seed}};
  report["limits"] = limits.to_json();
  report["start"] = std::move(measured->start);
  report.update(bench.figures({.options = options, .cost = cost, .limits = limits, .runs = std::move(measured->runs)}));
  report["engines"] = engines_json(head->router());
  fmt::print("{}{}{}{}{} after `weft bench`\n", report_head_text(*setup), limits.to_text(), bench.text(report),
             engines_text(report["engines"]), start_text(report["start"]));
  if (const Status written = write_report(options.bench.json, report); !written)
    return failed_with(written.error(), exit_usage);
  return exit_ok;
}

}  // namespace weft::cli
