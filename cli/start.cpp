#include "cli/start.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/exit_code.h"
#include "core/telemetry/log.h"

namespace weft::cli {
namespace {

// After a second interrupt: what is left for cancelling, workers' ends and the executor's, beside the settlement, which may take
// `timeouts.collective`.
constexpr Duration stop_margin = std::chrono::seconds(60);
constexpr Duration waiting_interval = std::chrono::seconds(5);

// The states' own deadlines end it; until then it says every few seconds, as `component`, what is waited for.
Status wait_until_ready(Cluster& cluster, std::string_view component) {
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
    log::info(component, "waiting: {}", states);
  }
}

// Of a cluster that has just become ready.
void note_ready(StartTimes& times, Cluster& cluster) {
  times.ready = seconds_since(times.start);
  for (const ReplicaStatus& replica : cluster.replicas()) {
    times.launch = std::max(times.launch, replica.launch_seconds);
    times.join = std::max(times.join, replica.join_seconds);
    times.load = std::max(times.load, replica.load_seconds);
  }
}

}  // namespace

void StartingCluster::begin(Cluster& cluster) {
  const std::lock_guard lock(mutex_);
  cluster_ = &cluster;
  if (stopped_) cluster_->begin_stop(Duration::zero());
}

void StartingCluster::stop() {
  const std::lock_guard lock(mutex_);  // end() waits for it, so the cluster outlives this
  if (ended_) return;
  stopped_ = true;
  if (cluster_ != nullptr) cluster_->begin_stop(Duration::zero());
}

bool StartingCluster::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  return stopped_;
}

Duration patience_of(const Config& config) {
  return std::min<Duration>(config.timeouts.collective, std::chrono::hours(24)) + stop_margin;
}

double seconds_since(Time then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

std::unique_ptr<Head> start_cluster(StartSpec spec, int& exit_code) {
  auto head = Head::start(spec.setup, spec.events, std::move(spec.lost));
  exit_code = exit_not_started;
  if (!head) {
    fmt::print(stderr, "the cluster could not start: {}\n", head.error().message);
    return nullptr;
  }
  spec.guard.set_run_directory((*head)->run_directory().path());
  spec.starting.begin((*head)->cluster());
  const Status ready = wait_until_ready((*head)->cluster(), spec.component);
  if (const bool stopped = spec.starting.end(); !ready) {
    if (stopped) {
      fmt::print(stderr, "interrupted while starting: nothing was done; the same command starts again\n");
      exit_code = exit_interrupted;
    } else {
      fmt::print(stderr, "the cluster could not start: {}\n", ready.error().message);
    }
    return nullptr;
  }
  note_ready(spec.times, (*head)->cluster());
  log::info(spec.component, "{} replica(s) ready after {:.0f} ms; logs in {}/logs", spec.setup.plan.data,
            spec.times.ready * 1e3, (*head)->run_directory().path());
  exit_code = exit_ok;
  return std::move(*head);
}

Status settle(Head& head, const Config& config, std::string_view component) {
  if (const LedgerTotals now = head.router().totals(); now.finished < now.submitted) {
    log::debug(component, "not settled: {} requests still ran when the run was given up", now.submitted - now.finished);
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
    log::warn(component, "replica {} had failed: settled from the ledger", dp);
  if (requests != settlement.requests || tokens != settlement.tokens)
    return fail(ErrorCode::internal,
                fmt::format("the replicas delivered {} requests and {} tokens, the ledger has {} and {}",
                            settlement.requests, settlement.tokens, requests, tokens));
  log::debug(component, "settled: {} requests, {} tokens, equal to the ledger's", requests, tokens);
  return {};
}

nlohmann::ordered_json start_json(const StartTimes& times, double first_token) {
  return {{"plan_seconds", times.plan},
          {"launch_seconds", times.launch},
          {"join_seconds", times.join},
          {"load_seconds", times.load},
          {"ready_seconds", times.ready},
          {"first_step_seconds", first_token},
          {"first_token_seconds", times.ready + first_token}};
}

std::string start_text(const nlohmann::ordered_json& start) {
  const auto milliseconds = [&](const char* key) { return start[key].get<double>() * 1e3; };
  return fmt::format(
      "start: plan {:.0f} ms, launch {:.0f} ms, join {:.0f} ms, load {:.0f} ms, first step {:.0f} ms; first token "
      "{:.0f} "
      "ms",
      milliseconds("plan_seconds"), milliseconds("launch_seconds"), milliseconds("join_seconds"),
      milliseconds("load_seconds"), milliseconds("first_step_seconds"), milliseconds("first_token_seconds"));
}

nlohmann::ordered_json engines_json(const Router& router) {
  auto json = nlohmann::ordered_json::object();
  for (const auto& [id, stats] : router.stats())
    json[std::to_string(id)] = {
        {"steps", stats.steps},
        {"step_seconds", stats.step_seconds},
        {"collective_seconds", stats.collective_seconds},
        {"collective_share", stats.step_seconds > 0 ? stats.collective_seconds / stats.step_seconds : 0},
        {"preemptions", stats.preemptions}};
  return json;
}

std::string engines_text(const nlohmann::ordered_json& engines) {
  std::string text;
  for (const auto& [id, engine] : engines.items())
    if (const auto steps = engine["steps"].get<std::int64_t>(); steps > 0)
      text += fmt::format("replica {}: {} steps of {:.2f} ms, {:.1f}% of it in collectives\n", id, steps,
                          engine["step_seconds"].get<double>() / static_cast<double>(steps) * 1e3,
                          engine["collective_share"].get<double>() * 100);
  return text;
}

}  // namespace weft::cli
