// `weft run`: an offline batch from start to end.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/model_identity.h"
#include "cli/preflight.h"
#include "cli/run_guard.h"
#include "cli/setup_options.h"
#include "cli/start.h"
#include "core/telemetry/log.h"
#include "frontend/batch/batch_run.h"

namespace weft::cli {
namespace {

struct RunOptions {
  SetupOptions setup;
  std::string input;
  std::string output;
  std::string summary;
};

Result<std::unique_ptr<frontend::BatchRun>> open_batch(const RunOptions& options, const Setup& setup) {
  WEFT_ASSIGN(forecast, forecast_memory(setup));
  for (const std::string& warning : forecast.warnings)
    log::warn("memory", "{}", warning);
  WEFT_TRY(forecast.verdict);
  WEFT_ASSIGN(text, read_text_side(setup));
  for (const std::string& warning : text.warnings)
    log::warn("model", "{}", warning);
  const Config& config = setup.config;
  std::vector<ReplicaId> replicas;
  for (const ReplicaPlan& replica : setup.plan.replicas)
    replicas.push_back(replica.dp);
  return frontend::BatchRun::open({.input = options.input,
                                   .output = options.output,
                                   .model_name = std::filesystem::path(config.model.path).filename().string(),
                                   .model_identity = model_identity(setup),
                                   .distribution = config.batch.distribution,
                                   .window = config.batch.window,
                                   .default_max_tokens = config.batch.max_tokens,
                                   .max_context = setup.max_context(),
                                   .vocabulary = setup.model.shape.vocabulary,
                                   .replicas = std::move(replicas),
                                   .drain = config.timeouts.drain,
                                   .progress_bar = isatty(STDERR_FILENO) == 1},
                                  std::move(text.tools));
}

// How the time until the first token went, and what the leaders' steps took; for people and for --summary.
nlohmann::ordered_json timings_json(const StartTimes& start, const frontend::BatchSummary& summary,
                                    const Router& router) {
  nlohmann::ordered_json json;
  json["start"] = start_json(start, summary.first_token_seconds);
  json["engines"] = engines_json(router);
  return json;
}

void print_timings(const nlohmann::ordered_json& timings) {
  fmt::print(stderr, "{} after `weft run`\n", start_text(timings["start"]));
  fmt::print(stderr, "{}", engines_text(timings["engines"]));
}

Status write_summary(const std::string& path, const frontend::BatchSummary& summary,
                     const nlohmann::ordered_json& timings) {
  if (path.empty()) return {};
  auto json = nlohmann::ordered_json::parse(frontend::summary_json(summary));
  json.update(timings);
  std::ofstream file(path);
  file << json.dump(2) << std::endl;
  if (!file) return fail(ErrorCode::permission_denied, fmt::format("--summary {}: cannot be written", path));
  return {};
}

int finish(const RunOptions& options, const frontend::BatchSummary& summary,
           const nlohmann::ordered_json& timings = nlohmann::ordered_json::object()) {
  fmt::print(stderr, "{}", frontend::summary_text(summary));
  if (summary.error) fmt::print(stderr, "error: {}\n", summary.error->message);
  if (const Status written = write_summary(options.summary, summary, timings); !written) {
    fmt::print(stderr, "{}\n", written.error().message);
    return exit_some_failed;
  }
  if (summary.interrupted) return exit_interrupted;
  return summary.failed > 0 || summary.resumed_failed > 0 || summary.left > 0 || summary.error ? exit_some_failed
                                                                                               : exit_ok;
}

int run_batch(const RunOptions& options) {
  StartTimes times;
  RunGuard guard;
  Interrupts interrupts;
  int code = exit_ok;
  const auto setup = make_setup(options.setup, code, [&] { interrupts.begin(); });
  if (setup == nullptr) return code;
  const Config& config = setup->config;
  for (const std::string& warning : setup->plan.warnings)
    log::warn("plan", "{}", warning);
  // Noticed now and not after the last answer.
  if (!options.summary.empty() && !std::ofstream(options.summary, std::ios::app)) {
    fmt::print(stderr, "--summary {}: cannot be written\n", options.summary);
    return exit_usage;
  }
  auto batch = open_batch(options, *setup);
  if (!batch) {
    fmt::print(stderr, "{}\n", batch.error().message);
    return exit_code_of(batch.error());
  }
  if (!(*batch)->has_work()) return finish(options, (*batch)->summary());
  times.plan = seconds_since(times.start);

  StartingCluster starting;
  const Listening listening(
      interrupts,
      [&] {
        (*batch)->interrupt();
        starting.stop();
      },
      patience_of(config));
  const auto head = start_cluster({.component = "run",
                                   .setup = *setup,
                                   .events = **batch,
                                   .lost = [&](const Error& why) { (*batch)->give_up(why); },
                                   .guard = guard,
                                   .starting = starting,
                                   .times = times},
                                  code);
  if (head == nullptr) return code;

  Result<frontend::BatchSummary> summary = (*batch)->run(head->router());
  if (!summary) {
    fmt::print(stderr, "{}\n", summary.error().message);
    return exit_some_failed;
  }
  if (const Status settled = settle(*head, config, "run"); !settled) {
    log::error("run", "{}", settled.error().message);
    if (!summary->error && !summary->interrupted) summary->error = settled.error();
  }
  (void)head->cluster().stop(stop_grace);  // the leaders' last figures come before their end
  const nlohmann::ordered_json measured = timings_json(times, *summary, head->router());
  print_timings(measured);
  return finish(options, *summary, measured);
}

}  // namespace

void add_run(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("run", "Answer a file of requests (offline batch)");
  auto options = std::make_shared<RunOptions>();
  add_setup_options(*command, options->setup);
  command
      ->add_option("-i,--input", options->input,
                   "Requests: OpenAI batch lines, or {\"custom_id\", \"messages\" | \"prompt\", ...}")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("-o,--output", options->output,
                   "Answers, one line each as they come; an interrupted run goes on where it was")
      ->required()
      ->type_name("FILE");
  command->add_option("--summary", options->summary, "Write the summary here as JSON")->type_name("FILE");
  command->footer(
      "Example:\n  weft run -c weft.toml -i prompts.jsonl -o results.jsonl\n\n"
      "The smallest weft.toml:\n  [model]\n  path = \"models/weft-tiny\"");
  command->callback([options, &exit_code] { exit_code = run_batch(*options); });
}

}  // namespace weft::cli
