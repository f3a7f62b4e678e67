#include "core/cluster/supervisor.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/telemetry/log.h"

namespace weft::cluster_detail {
namespace {

// After the executor's KILL: how long an end may take to be told.
constexpr Duration kill_margin = std::chrono::seconds(10);

double seconds_since(Time then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

}  // namespace

std::string rank_name(const RankPlan& plan) {
  return fmt::format("rank {} (replica {}, pp {}, tp {})", plan.rank, plan.dp, plan.pp, plan.tp);
}

Supervisor::Supervisor(ClusterOptions options, ClusterEvents& events)
    : options_(std::move(options)),
      log_tails_(static_cast<ExecutorLogTail*>(options_.executor->query(ExecutorLogTail::interface_id))),
      events_(events),
      config_toml_(print_config(*options_.config)),
      config_hash_(hash_config(*options_.config)),
      local_store_(store_host_),
      store_service_(store_host_) {
  for (const ReplicaPlan& plan : options_.plan->replicas) {
    Replica replica;
    replica.plan = &plan;
    replica.status.dp = plan.dp;
    for (const RankPlan& rank : plan.ranks) {
      RankState state;
      state.plan = &rank;
      state.name = rank_name(rank);
      replica.ranks.push_back(std::move(state));
    }
    replicas_.push_back(std::move(replica));
  }
}

Supervisor::~Supervisor() {
  if (thread_.joinable()) {
    // An executor that has lost track of a process must not tell of it to what is no more.
    if (!stop(Duration::zero()))
      if (const Status closed = options_.executor->close(); !closed)
        log::error("cluster", "executor: {}", closed.error().message);
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }
  listener_.reset();  // no handler call from here on
}

Status Supervisor::begin() {
  publish(false);  // what on_open() compares a worker with
  const Config& config = *options_.config;
  WEFT_ASSIGN(listener, wire::Listener::bind({.name = "head",
                                              .endpoint = "tcp://" + config.cluster.listen,
                                              .token = options_.run_directory->token(),
                                              .limits = {.dead_after = config.timeouts.lease},
                                              .log = [](std::string text) { log::warn("head", "{}", text); }},
                                             *this));
  listener_ = std::move(listener);
  endpoint_ = listener_->endpoint();
  if (!config.cluster.advertise.empty())
    endpoint_ = "tcp://" + config.cluster.advertise + endpoint_.substr(endpoint_.rfind(':'));
  WEFT_TRY(options_.run_directory->publish_endpoint(endpoint_));
  log::debug("cluster", "bound and published {}; configuration {}", endpoint_, config_hash_);
  thread_ = std::thread([this] { run(); });
  (void)pthread_setname_np(thread_.native_handle(), "cluster");
  post([this] {
    for (Replica& replica : replicas_)
      launch(replica);
  });
  return {};
}

// ---- callers ----

Status Supervisor::wait_ready(Deadline deadline) {
  std::unique_lock lock(mutex_);
  const auto settled_down = [&] {
    bool all = told_;
    for (const ReplicaStatus& status : statuses_) {
      if (status.state == ReplicaState::down || status.state == ReplicaState::stopped) return told_;
      all &= status.state == ReplicaState::ready;
    }
    return all;
  };
  if (deadline.at() == Time::max()) {
    changed_.wait(lock, settled_down);  // the states' own deadlines end it
  } else if (!changed_.wait_until(lock, deadline.at(), settled_down)) {
    std::string missing;
    for (const ReplicaStatus& status : statuses_)
      if (status.state != ReplicaState::ready)
        missing += fmt::format("{}replica {} is {}", missing.empty() ? "" : ", ", status.dp, to_string(status.state));
    return fail(ErrorCode::deadline_exceeded, "the cluster is not ready: " + missing, true);
  }
  for (const ReplicaStatus& status : statuses_)
    if (status.state == ReplicaState::down) return fail(status.error);
  for (const ReplicaStatus& status : statuses_)
    if (status.state == ReplicaState::stopped) return fail(ErrorCode::cancelled, "the cluster was stopped");
  return {};
}

std::vector<ReplicaStatus> Supervisor::replicas() const {
  const std::lock_guard lock(mutex_);
  return statuses_;
}

void Supervisor::begin_stop(Duration grace) {
  post([this, grace] { stop_all(grace); });
}

Status Supervisor::stop(Duration grace) {
  begin_stop(grace);
  const Deadline killed = Deadline::in(grace);
  std::unique_lock lock(mutex_);
  const auto gone = [&] { return gone_; };
  if (killed.at() >= Time::max() - kill_margin)
    changed_.wait(lock, gone);  // the caller's choice: until the workers end by themselves
  else if (!changed_.wait_until(lock, killed.at() + kill_margin, gone))
    return fail(ErrorCode::deadline_exceeded, "the executor has not told the end of " + left_);
  return {};
}

// ---- the thread ----

// Tells under the lock: whoever waits for the last task's consequence may destroy this object as soon as it is free.
void Supervisor::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  changed_.notify_all();
}

void Supervisor::run() {
  for (;;) {
    std::deque<std::function<void()>> tasks;
    {
      std::unique_lock lock(mutex_);
      const Time next = next_deadline();
      const auto due = [&] { return !tasks_.empty() || ended_; };
      if (next == Time::max())
        changed_.wait(lock, due);
      else
        changed_.wait_until(lock, next, due);
      if (ended_ && tasks_.empty()) return;
      tasks.swap(tasks_);
    }
    for (const auto& task : tasks)
      task();
    check_deadlines(Clock::now());
    publish(true);
  }
}

// `round_ends`: no event of what is published is still to be told, so that who waits for the end may take all down.
void Supervisor::publish(bool round_ends) {
  std::vector<ReplicaStatus> statuses;
  std::string left;
  bool gone = true;
  for (Replica& replica : replicas_) {
    replica.status.state = replica.state;
    replica.status.incarnation = replica.incarnation;
    replica.status.error = replica.error;
    statuses.push_back(replica.status);
    gone &= replica.ended();
    for (const RankState& rank : replica.ranks)
      if (stopping_ && !rank.exit) left += (left.empty() ? "" : " ") + name_with_pid(rank);
  }
  const std::lock_guard lock(mutex_);
  statuses_ = std::move(statuses);
  left_ = std::move(left);
  told_ = round_ends;
  if (round_ends) gone_ = gone;
  changed_.notify_all();
}

bool Supervisor::apply(Replica& replica, ReplicaEvent event, const std::string& cause) {
  const std::optional<ReplicaState> next = next_state(replica.state, event);
  if (!next) {
    log::debug("cluster", "replica {}: '{}' means nothing while {} ({})", replica.plan->dp, to_string(event),
               to_string(replica.state), cause);
    return false;
  }
  log::debug("cluster", "replica {}.{}: {} -> {}: {}", replica.plan->dp, replica.incarnation, to_string(replica.state),
             to_string(*next), cause);
  replica.state = *next;
  replica.entered = Clock::now();
  const auto& timeouts = options_.config->timeouts;
  const auto until = [&](Duration duration) { return Deadline::in(duration).at(); };
  switch (replica.state) {
    case ReplicaState::launching: replica.deadline = until(timeouts.launch); break;
    case ReplicaState::joining: replica.deadline = until(timeouts.join); break;
    case ReplicaState::loading: replica.deadline = until(timeouts.load); break;
    default: replica.deadline = Time::max();
  }
  return true;
}

// ---- launch and exit ----

GangSpec Supervisor::gang_spec(const Replica& replica) const {
  nlohmann::json plugins = nlohmann::json::array();
  for (const WorkerPlugin& plugin : options_.plugins)
    plugins.push_back({{"kind", plugin.kind}, {"name", plugin.name}, {"path", plugin.path}, {"sha256", plugin.sha256}});
  GangSpec spec{
      .gang = replica.gang(), .ranks = {}, .die_with_head = options_.config->timeouts.rejoin == Duration::zero()};
  for (const RankState& rank : replica.ranks)
    spec.ranks.push_back({.rank = rank.plan->rank,
                          .argv = options_.worker_argv,
                          .env = {{"WEFT_HEAD", endpoint_},
                                  {"WEFT_TOKEN", options_.run_directory->token()},
                                  {"WEFT_RANK", std::to_string(rank.plan->rank)},
                                  {"WEFT_INCARNATION", std::to_string(replica.incarnation)},
                                  {"WEFT_WORKER_PLUGINS", plugins.dump()},
                                  {"WEFT_LOG_LEVEL", options_.config->log.level},
                                  {"WEFT_LOG_FORMAT", options_.config->log.format}},
                          .node = rank.plan->node,
                          .cpus = rank.plan->cpus,
                          .devices = {},
                          .memory = 0,
                          .log_path = options_.run_directory->log_path(rank.plan->rank, replica.incarnation)});
  return spec;
}

void Supervisor::launch(Replica& replica) {
  replica.entered = Clock::now();
  replica.deadline = Deadline::in(options_.config->timeouts.launch).at();
  log::debug("cluster", "replica {}.{}: launching {} rank(s)", replica.plan->dp, replica.incarnation,
             replica.ranks.size());
  const Status launched = options_.executor->launch(gang_spec(replica), *this);
  if (launched) return;
  for (RankState& rank : replica.ranks)
    rank.exit = Exit{.cause = Exit::Cause::never_started, .value = 0, .detail = launched.error().message};
  suspect(replica, replica.leader(), Evidence::Kind::refused,
          annotate(launched.error(), fmt::format("replica {}: executor", replica.plan->dp)));
}

void Supervisor::on_pending(const GangId& gang, std::string_view why) {
  log::info("cluster", "{} waits to be placed: {}", gang.id, why);
}

void Supervisor::on_placed(const GangId& gang, const std::vector<Placement>& placements) {
  post([this, gang, placements] {
    if (Replica* replica = find_replica(gang)) placed(*replica, placements);
  });
}

void Supervisor::placed(Replica& replica, const std::vector<Placement>& placements) {
  for (const Placement& placement : placements)
    for (RankState& rank : replica.ranks)
      if (rank.plan->rank == placement.rank) rank.pid = placement.pid;
  replica.status.launch_seconds = seconds_since(replica.entered);
  apply(replica, ReplicaEvent::placed, "every rank is placed");
  advance(replica);
}

void Supervisor::on_exit(const GangId& gang, std::int32_t number, const Exit& exit) {
  post([this, gang, number, exit] {
    Replica* replica = find_replica(gang);
    if (replica == nullptr) return;
    for (RankState& rank : replica->ranks)
      if (rank.plan->rank == number && !rank.exit) exited(*replica, rank, exit);
  });
}

void Supervisor::exited(Replica& replica, RankState& rank, const Exit& exit) {
  rank.exit = exit;
  rank.heard = rank.progressed = Time::max();
  log::debug("cluster", "{} {}", rank.name, exit_text(exit));
  if (!replica.alive()) return;
  const bool crashed = exit.cause != Exit::Cause::code;
  suspect(replica, rank, crashed ? Evidence::Kind::crashed : Evidence::Kind::exited,
          {ErrorCode::unavailable,
           fmt::format("{} {} while {}", name_with_pid(rank), exit_text(exit), to_string(replica.state)), true});
}

void Supervisor::end_gang(const Replica& replica, Duration grace) {
  if (replica.ended()) return;
  const Status stopped = options_.executor->stop(replica.gang(), grace);
  if (stopped || stopped.error().code == ErrorCode::not_found) return;  // then its exits are on their way
  log::error("cluster", "replica {}: executor: {}", replica.plan->dp, stopped.error().message);
}

void Supervisor::stop_all(Duration grace) {
  stopping_ = true;
  if (settling_) end_settlement(fail(ErrorCode::cancelled, "the cluster is stopping"));
  for (Replica& replica : replicas_)
    stop_replica(replica, grace);
  kill_at_ = std::min(kill_at_, Deadline::in(grace).at());
}

void Supervisor::stop_replica(Replica& replica, Duration grace) {
  const bool served = replica.serves();
  const bool lived = replica.alive();
  if (lived) apply(replica, ReplicaEvent::stop, "stop");
  // What is not in service yet has nothing to end in order, and perhaps no link to hear of it.
  if (lived && !served) return end_gang(replica, grace);
  for (const RankState& rank : replica.ranks) {
    if (rank.link == 0 || rank.exit) continue;
    wire::Envelope envelope;
    envelope.mutable_stop()->set_reason("the head stops");
    envelope.mutable_stop()->set_grace_ms(std::chrono::duration_cast<std::chrono::milliseconds>(grace).count());
    (void)bound_->send(rank.link, std::move(envelope));
  }
}

Replica* Supervisor::find_replica(const GangId& gang) {
  for (Replica& replica : replicas_)
    if (replica.gang() == gang) return &replica;
  return nullptr;
}

std::pair<Replica*, RankState*> Supervisor::find_rank(std::int32_t number, std::int64_t incarnation) {
  for (Replica& replica : replicas_)
    if (replica.incarnation == incarnation)
      for (RankState& rank : replica.ranks)
        if (rank.plan->rank == number) return {&replica, &rank};
  return {nullptr, nullptr};
}

}  // namespace weft::cluster_detail

namespace weft {

Result<std::unique_ptr<Cluster>> Cluster::start(ClusterOptions options, ClusterEvents& events) {
  auto made = std::make_unique<cluster_detail::Supervisor>(std::move(options), events);
  WEFT_TRY(made->begin());
  return made;
}

}  // namespace weft
