#include "core/cluster/supervisor.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/telemetry/log.h"

namespace weft::cluster_detail {
namespace {

constexpr int log_lines = 20;  // of a lost rank's log, in the error
// How long the root cause may lag behind its first consequence: a killed peer's exit behind a broken collective.
constexpr Duration evidence_window = std::chrono::milliseconds(300);

double seconds_since(Time then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

}  // namespace

std::string rank_name(const RankPlan& plan) {
  return fmt::format("rank {} (replica {}, pp {}, tp {})", plan.rank, plan.dp, plan.pp, plan.tp);
}

std::string exit_text(const Exit& exit) {
  const std::string detail = exit.detail.empty() ? "" : fmt::format(" ({})", exit.detail);
  switch (exit.cause) {
    case Exit::Cause::code: return fmt::format("exited with code {}{}", exit.value, detail);
    case Exit::Cause::signal: return fmt::format("was killed by signal {}{}", exit.value, detail);
    case Exit::Cause::node_lost: return "went with its node" + detail;
    case Exit::Cause::never_started: return "could not be started" + detail;
    case Exit::Cause::unknown: break;
  }
  return "ended for an unknown reason" + detail;
}

Supervisor::Supervisor(ClusterOptions options, ClusterEvents& events)
    : options_(std::move(options)),
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
    (void)stop(Duration::zero());
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  listener_.reset();  // no handler call from here on
}

Status Supervisor::begin() {
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
  publish();
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
    bool all = true;
    for (const ReplicaStatus& status : statuses_) {
      if (status.state == ReplicaState::down || status.state == ReplicaState::stopped) return true;
      all &= status.state == ReplicaState::ready;
    }
    return all;
  };
  if (deadline.at() == Time::max())
    changed_.wait(lock, settled_down);  // the states' own deadlines end it
  else if (!changed_.wait_until(lock, deadline.at(), settled_down))
    return fail(ErrorCode::deadline_exceeded, "the cluster is not ready");
  for (const ReplicaStatus& status : statuses_) {
    if (status.state == ReplicaState::down) return fail(status.error);
    if (status.state == ReplicaState::stopped) return fail(ErrorCode::cancelled, "the cluster was stopped");
  }
  return {};
}

std::vector<ReplicaStatus> Supervisor::replicas() const {
  const std::lock_guard lock(mutex_);
  return statuses_;
}

Status Supervisor::stop(Duration grace) {
  post([this, grace] { stop_all(grace); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return gone_; });  // the executor's KILL after the grace ends it
  return {};
}

// ---- the thread ----

void Supervisor::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
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
    publish();
  }
}

void Supervisor::publish() {
  std::vector<ReplicaStatus> statuses;
  bool gone = true;
  for (Replica& replica : replicas_) {
    replica.status.state = replica.state;
    replica.status.incarnation = replica.incarnation;
    replica.status.error = replica.error;
    statuses.push_back(replica.status);
    gone &= replica.ended();
  }
  {
    const std::lock_guard lock(mutex_);
    statuses_ = std::move(statuses);
    gone_ = gone;
  }
  changed_.notify_all();
}

Time Supervisor::next_deadline() const {
  Time next = settling_ ? settling_->deadline : Time::max();
  next = std::min(next, kill_at_);
  const auto& timeouts = options_.config->timeouts;
  for (const Replica& replica : replicas_) {
    if (!replica.alive()) continue;
    next = std::min({next, replica.deadline, replica.decide_at});
    for (const RankState& rank : replica.ranks) {
      if (rank.heard != Time::max()) next = std::min(next, rank.heard + timeouts.lease);
      if (rank.progressed != Time::max()) next = std::min(next, rank.progressed + timeouts.stall);
    }
  }
  return next;
}

void Supervisor::check_deadlines(Time now) {
  if (now >= kill_at_) {
    kill_at_ = Time::max();
    for (Replica& replica : replicas_)
      end_gang(replica, Duration::zero());
  }
  if (settling_ && now >= settling_->deadline) finish_settlement();
  for (Replica& replica : replicas_)
    if (replica.alive()) check_replica(replica, now);
}

void Supervisor::check_replica(Replica& replica, Time now) {
  const auto& timeouts = options_.config->timeouts;
  for (RankState& rank : replica.ranks) {
    if (rank.heard != Time::max() && now >= rank.heard + timeouts.lease) {
      rank.heard = Time::max();
      suspect(replica, rank, Evidence::Kind::silent,
              {ErrorCode::unavailable,
               fmt::format("{} has not been heard of for {:.1f} s (timeouts.lease)", rank.name,
                           std::chrono::duration<double>(timeouts.lease).count()),
               true});
    }
    if (rank.progressed != Time::max() && now >= rank.progressed + timeouts.stall) {
      rank.progressed = Time::max();
      suspect(replica, rank, Evidence::Kind::hung,
              {ErrorCode::unavailable,
               fmt::format("{} has work and has made no progress for {:.1f} s (timeouts.stall); "
                           "last seen at step {}, layer {}",
                           rank.name, std::chrono::duration<double>(timeouts.stall).count(), rank.step, rank.layer),
               true});
    }
  }
  if (now >= replica.decide_at) return go_down(replica);
  if (now < replica.deadline || !replica.evidence.empty()) return;
  std::string missing;
  for (const RankState& rank : replica.ranks)
    if (rank.pid == 0 || replica.state != ReplicaState::joining || !rank.joined)
      missing += (missing.empty() ? "" : ", ") + rank.name;
  const char* what = replica.state == ReplicaState::launching ? "was not placed (timeouts.launch)"
                     : replica.state == ReplicaState::joining ? "did not join (timeouts.join)"
                                                              : "was not ready in time (timeouts.load)";
  replica.evidence.push_back(
      {Evidence::Kind::silent,
       replica.leader().plan->rank,
       {ErrorCode::deadline_exceeded, fmt::format("replica {}: {} {}", replica.plan->dp, missing, what), true}});
  go_down(replica);
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

void Supervisor::launch(Replica& replica) {
  replica.entered = Clock::now();
  replica.deadline = Deadline::in(options_.config->timeouts.launch).at();
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
  log::debug("cluster", "replica {}.{}: launching {} rank(s)", replica.plan->dp, replica.incarnation,
             spec.ranks.size());
  if (const Status launched = options_.executor->launch(spec, *this); !launched) {
    for (RankState& rank : replica.ranks)
      rank.exit = Exit{.cause = Exit::Cause::never_started, .value = 0, .detail = {}};
    suspect(replica, replica.leader(), Evidence::Kind::refused, annotate(launched.error(), "executor"));
  }
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
           fmt::format("{}{} {} while {}", rank.name, rank.pid > 0 ? fmt::format(", pid {},", rank.pid) : "",
                       exit_text(exit), to_string(replica.state)),
           true});
}

void Supervisor::suspect(Replica& replica, const RankState& rank, Evidence::Kind kind, Error error) {
  if (!replica.alive()) return;
  log::debug("cluster", "replica {}: {}", replica.plan->dp, error.message);
  replica.evidence.push_back({kind, rank.plan->rank, std::move(error)});
  // What cannot be a consequence of anything else need not wait.
  const bool root = kind == Evidence::Kind::crashed || kind == Evidence::Kind::refused;
  const Time at = root ? Clock::now() : Clock::now() + evidence_window;
  replica.decide_at = std::min(replica.decide_at, at);
}

void Supervisor::go_down(Replica& replica) {
  replica.decide_at = Time::max();
  // An exit with a code says less than the failure that the same rank told before it.
  const auto weight = [&](const Evidence& evidence) {
    if (evidence.kind != Evidence::Kind::exited) return static_cast<int>(evidence.kind);
    for (const Evidence& other : replica.evidence)
      if (other.rank == evidence.rank && other.kind == Evidence::Kind::failure)
        return static_cast<int>(Evidence::Kind::failure) + 1;
    return static_cast<int>(evidence.kind);
  };
  const Evidence& root = *std::min_element(replica.evidence.begin(), replica.evidence.end(),
                                           [&](const Evidence& a, const Evidence& b) { return weight(a) < weight(b); });
  replica.error = root.error;
  const std::string log_path = options_.run_directory->log_path(root.rank, replica.incarnation);
  if (const std::string tail = tail_of_file(log_path, log_lines); !tail.empty())
    replica.error.message += fmt::format("\nlast lines of {}:\n{}", log_path, tail);
  if (!apply(replica, ReplicaEvent::rank_lost, root.error.message)) return;
  publish();
  events_.on_down(replica.plan->dp, replica.incarnation, replica.error);
  store_host_.retire("group/" + replica.group(""), root.error.message);
  end_gang(replica, Duration::zero());
  if (settling_) finish_settlement();
}

void Supervisor::end_gang(Replica& replica, Duration grace) {
  if (!replica.ended()) (void)options_.executor->stop(replica.gang(), grace);  // not_found: its exits are on their way
}

void Supervisor::stop_all(Duration grace) {
  stopping_ = true;
  for (Replica& replica : replicas_) {
    if (replica.ended()) {
      if (replica.alive()) apply(replica, ReplicaEvent::stop, "stop");
      continue;
    }
    if (replica.state != ReplicaState::down) apply(replica, ReplicaEvent::stop, "stop");
    for (const RankState& rank : replica.ranks) {
      wire::Envelope envelope;
      envelope.mutable_stop()->set_reason("the head stops");
      envelope.mutable_stop()->set_grace_ms(std::chrono::duration_cast<std::chrono::milliseconds>(grace).count());
      if (rank.link != 0) (void)bound_->send(rank.link, std::move(envelope));
    }
  }
  kill_at_ = std::min(kill_at_, Deadline::in(grace).at());
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
