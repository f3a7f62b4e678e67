// `weft run`: an offline batch from start to end.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/head.h"
#include "cli/interrupts.h"
#include "cli/model_identity.h"
#include "cli/preflight.h"
#include "cli/run_guard.h"
#include "cli/setup_options.h"
#include "core/telemetry/log.h"
#include "frontend/batch/batch_run.h"

namespace weft::cli {
namespace {

constexpr Duration stop_grace = std::chrono::seconds(2);
// After a second interrupt: what is left for cancelling, workers' ends and the executor's, beside the settlement, which may take
// `timeouts.collective`.
constexpr Duration stop_margin = std::chrono::seconds(60);
constexpr Duration waiting_interval = std::chrono::seconds(5);

struct RunOptions {
  SetupOptions setup;
  std::string input;
  std::string output;
  std::string summary;
};

// An interrupt while the cluster starts stops it; afterwards the batch alone hears of it.
class StartingCluster {
 public:
  void begin(Cluster& cluster) {
    const std::lock_guard lock(mutex_);
    cluster_ = &cluster;
    if (stopped_) cluster_->begin_stop(Duration::zero());
  }
  void stop() {
    const std::lock_guard lock(mutex_);  // end() waits for it, so the cluster outlives this
    if (ended_) return;
    stopped_ = true;
    if (cluster_ != nullptr) cluster_->begin_stop(Duration::zero());
  }
  // Whether it was stopped.
  bool end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    return stopped_;
  }

 private:
  std::mutex mutex_;  // guards what follows
  Cluster* cluster_ = nullptr;
  bool stopped_ = false;
  bool ended_ = false;
};

// While one lives, interrupts are told to `heard`, which may use what was made before it.
class Listening {
 public:
  Listening(Interrupts& interrupts, std::function<void()> heard, Duration patience) : interrupts_(interrupts) {
    interrupts_.listen(std::move(heard), patience);
  }
  ~Listening() { interrupts_.stop_listening(); }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

 private:
  Interrupts& interrupts_;
};

struct Timings {
  Time start = Clock::now();
  double plan = 0;
  double launch = 0;
  double join = 0;
  double load = 0;
  double ready = 0;  // from the start of the program
};

double since(Time then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

Result<std::unique_ptr<frontend::BatchRun>> open_batch(const RunOptions& options, const Setup& setup) {
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
                                   .max_context = config.model.max_context.value_or(setup.model.shape.max_context),
                                   .replicas = std::move(replicas),
                                   .drain = config.timeouts.drain,
                                   .progress_bar = isatty(STDERR_FILENO) == 1},
                                  std::move(text.tools));
}

// The leaders' own counters against the ledger's: what was delivered is what was recorded.
Status settle(Head& head, const Config& config) {
  if (const LedgerTotals now = head.router().totals(); now.finished < now.submitted) {
    log::debug("run", "not settled: {} requests still ran when the run was given up", now.submitted - now.finished);
    return {};
  }
  WEFT_ASSIGN(settlement, head.cluster().settle(Deadline::in(config.timeouts.collective)));
  const LedgerTotals totals = head.router().totals();
  std::int64_t requests = 0;
  std::int64_t tokens = 0;
  for (const std::int32_t dp : settlement.members)
    if (const auto row = totals.replicas.find(dp); row != totals.replicas.end()) {
      requests += row->second.requests;
      tokens += row->second.tokens;
    }
  for (const std::int32_t dp : settlement.left_out)
    log::warn("run", "replica {} had failed: settled from the ledger", dp);
  if (requests != settlement.requests || tokens != settlement.tokens)
    return fail(ErrorCode::internal,
                fmt::format("the replicas delivered {} requests and {} tokens, the ledger has {} and {}",
                            settlement.requests, settlement.tokens, requests, tokens));
  log::debug("run", "settled: {} requests, {} tokens, equal to the ledger's", requests, tokens);
  return {};
}

// How the time until the first token went, and what the leaders' steps took; for people and for --summary.
nlohmann::ordered_json timings_json(const Timings& timings, const frontend::BatchSummary& summary,
                                    const Router& router) {
  nlohmann::ordered_json json;
  json["start"] = {{"plan_seconds", timings.plan},
                   {"launch_seconds", timings.launch},
                   {"join_seconds", timings.join},
                   {"load_seconds", timings.load},
                   {"ready_seconds", timings.ready},
                   {"first_step_seconds", summary.first_token_seconds},
                   {"first_token_seconds", timings.ready + summary.first_token_seconds}};
  json["engines"] = nlohmann::ordered_json::object();
  for (const auto& [id, stats] : router.stats())
    json["engines"][std::to_string(id)] = {
        {"steps", stats.steps},
        {"step_seconds", stats.step_seconds},
        {"collective_seconds", stats.collective_seconds},
        {"collective_share", stats.step_seconds > 0 ? stats.collective_seconds / stats.step_seconds : 0},
        {"preemptions", stats.preemptions}};
  return json;
}

void print_timings(const nlohmann::ordered_json& timings) {
  const auto milliseconds = [&](const char* key) { return timings["start"][key].get<double>() * 1e3; };
  fmt::print(stderr,
             "start: plan {:.0f} ms, launch {:.0f} ms, join {:.0f} ms, load {:.0f} ms, first step {:.0f} ms; first "
             "token {:.0f} ms after "
             "`weft run`\n",
             milliseconds("plan_seconds"), milliseconds("launch_seconds"), milliseconds("join_seconds"),
             milliseconds("load_seconds"), milliseconds("first_step_seconds"), milliseconds("first_token_seconds"));
  for (const auto& [id, engine] : timings["engines"].items())
    if (const auto steps = engine["steps"].get<std::int64_t>(); steps > 0)
      fmt::print(stderr, "replica {}: {} steps of {:.2f} ms, {:.1f}% of it in collectives\n", id, steps,
                 engine["step_seconds"].get<double>() / static_cast<double>(steps) * 1e3,
                 engine["collective_share"].get<double>() * 100);
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

// The states' own deadlines end it; until then it says every few seconds what is waited for.
Status wait_until_ready(Cluster& cluster) {
  for (;;) {
    Status ready = cluster.wait_ready(Deadline::in(waiting_interval));
    const auto replicas = cluster.replicas();
    const bool lost = std::any_of(replicas.begin(), replicas.end(), [](const ReplicaStatus& replica) {
      return replica.state == ReplicaState::down || replica.state == ReplicaState::stopped;
    });
    if (lost) return cluster.wait_ready(Deadline::never());  // comes at once, with the replica's own error
    if (ready || ready.error().code != ErrorCode::deadline_exceeded) return ready;
    std::string states;
    for (const ReplicaStatus& replica : replicas)
      if (replica.state != ReplicaState::ready)
        states += fmt::format("{}replica {} is {}", states.empty() ? "" : ", ", replica.dp, to_string(replica.state));
    log::info("run", "waiting: {}", states);
  }
}

int run_batch(const RunOptions& options) {
  Timings timings;
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
  timings.plan = since(timings.start);

  StartingCluster starting;
  const Listening listening(
      interrupts,
      [&] {
        (*batch)->interrupt();
        starting.stop();
      },
      std::min<Duration>(config.timeouts.collective, std::chrono::hours(24)) + stop_margin);
  auto head = Head::start(*setup, **batch, [&](const Error& why) { (*batch)->give_up(why); });
  if (!head) {
    fmt::print(stderr, "the cluster could not start: {}\n", head.error().message);
    return exit_not_started;
  }
  guard.set_run_directory((*head)->run_directory().path());
  starting.begin((*head)->cluster());
  const Status ready = wait_until_ready((*head)->cluster());
  if (const bool stopped = starting.end(); !ready) {
    if (stopped) {
      fmt::print(stderr, "interrupted while starting: nothing was done; the same command starts again\n");
      return exit_interrupted;
    }
    fmt::print(stderr, "the cluster could not start: {}\n", ready.error().message);
    return exit_not_started;
  }
  timings.ready = since(timings.start);
  for (const ReplicaStatus& replica : (*head)->cluster().replicas()) {
    timings.launch = std::max(timings.launch, replica.launch_seconds);
    timings.join = std::max(timings.join, replica.join_seconds);
    timings.load = std::max(timings.load, replica.load_seconds);
  }
  log::info("run", "{} replica(s) ready after {:.0f} ms; logs in {}/logs", setup->plan.data, timings.ready * 1e3,
            (*head)->run_directory().path());

  Result<frontend::BatchSummary> summary = (*batch)->run((*head)->router());
  if (!summary) {
    fmt::print(stderr, "{}\n", summary.error().message);
    return exit_some_failed;
  }
  if (const Status settled = settle(**head, config); !settled) {
    log::error("run", "{}", settled.error().message);
    if (!summary->error && !summary->interrupted) summary->error = settled.error();
  }
  (void)(*head)->cluster().stop(stop_grace);  // the leaders' last figures come before their end
  const nlohmann::ordered_json measured = timings_json(timings, *summary, (*head)->router());
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
