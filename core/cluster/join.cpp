// What workers say to the head: joining, phases, heartbeats.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/cluster/supervisor.h"
#include "core/telemetry/log.h"
#include "core/wire/convert.h"
#include "core/wire/link_state.h"

namespace weft::cluster_detail {
namespace {

double milliseconds(double seconds) { return seconds * 1000; }

void fill(wire::GroupInfo& group, const std::string& id, std::int32_t rank, const std::vector<std::string>& members) {
  group.set_id(id);
  group.set_rank(rank);
  group.set_size(static_cast<std::int32_t>(members.size()));
  for (const std::string& member : members)
    group.add_members(member);
}

}  // namespace

// ---- the listener's thread ----

void Supervisor::on_bound(wire::Listener& listener) {
  bound_ = &listener;
  store_service_.bind(listener);
}

Status Supervisor::on_open(const wire::Peer& peer) {
  if (peer.role != wire::ROLE_WORKER)
    return fail(ErrorCode::unimplemented, "this port is for workers; other roles are not in this version");
  if (peer.rank < 0 || peer.rank >= options_.plan->world_size())
    return fail(ErrorCode::refused,
                fmt::format("rank {} is not in the plan of {} ranks", peer.rank, options_.plan->world_size()));
  const std::int32_t dp = peer.rank / (options_.plan->tensor * options_.plan->pipeline);
  const std::lock_guard lock(mutex_);
  for (const ReplicaStatus& status : statuses_) {
    if (status.dp != dp) continue;
    if (status.incarnation == peer.incarnation) return {};
    return fail(ErrorCode::refused,
                fmt::format("replica {} is at incarnation {}, not {}", dp, status.incarnation, peer.incarnation));
  }
  return fail(ErrorCode::refused, fmt::format("replica {} is not in the plan", dp));
}

void Supervisor::on_message(const wire::Peer& peer, const wire::Envelope& envelope) {
  if (envelope.has_store_request()) return store_service_.on_request(peer, envelope.store_request());
  post([this, peer, envelope] { message(peer, envelope); });
}

void Supervisor::on_down(const wire::Peer& peer, const Error& why) {
  store_service_.on_down(peer);
  post([this, peer, why] { link_down(peer, why); });
}

// ---- the cluster's thread ----

void Supervisor::message(const wire::Peer& peer, const wire::Envelope& envelope) {
  const auto [replica, rank] = find_rank(peer.rank, peer.incarnation);
  if (replica == nullptr) return;
  if (envelope.has_hello()) return hello(*replica, *rank, peer, envelope.hello());
  if (rank->link != peer.link) {
    log::warn("cluster", "{}: a {} before Hello was dropped", rank->name, wire::body_name(envelope));
    return;
  }
  if (rank->heard != Time::max()) rank->heard = Clock::now();
  switch (envelope.body_case()) {
    case wire::Envelope::kPhase: return phase(*replica, *rank, envelope.phase());
    case wire::Envelope::kHeartbeat: return heartbeat(*rank, envelope.heartbeat());
    case wire::Envelope::kFailure: return failed(*replica, *rank, wire::from_wire(envelope.failure().error()));
    case wire::Envelope::kSettled: return settled(*replica, *rank, envelope.settled());
    default:
      log::warn("cluster", "{}: a {} has no meaning here and was dropped", rank->name, wire::body_name(envelope));
  }
}

void Supervisor::failed(Replica& replica, const RankState& rank, const Error& error) {
  const bool aftermath = error.code == ErrorCode::aborted || error.code == ErrorCode::unavailable ||
                         error.code == ErrorCode::cancelled || error.code == ErrorCode::deadline_exceeded;
  suspect(replica, rank, aftermath ? Evidence::Kind::aftermath : Evidence::Kind::failure, annotate(error, rank.name));
}

void Supervisor::link_down(const wire::Peer& peer, const Error& why) {
  const auto [replica, rank] = find_rank(peer.rank, peer.incarnation);
  if (replica == nullptr || rank->link != peer.link) return;
  rank->link = 0;
  rank->heard = rank->progressed = Time::max();
  if (!rank->exit && replica->alive())
    suspect(*replica, *rank, Evidence::Kind::link_lost,
            {ErrorCode::unavailable, fmt::format("{} is no longer reachable: {}", rank->name, why.message), true});
}

Status Supervisor::check_hello(const wire::Hello& hello) const {
  if (hello.build() != options_.build)
    return fail(ErrorCode::refused, fmt::format("its build is '{}', the head's '{}'", hello.build(), options_.build));
  for (const WorkerPlugin& ours : options_.plugins) {
    const auto theirs = std::find_if(hello.plugins().begin(), hello.plugins().end(), [&](const auto& plugin) {
      return plugin.kind() == ours.kind && plugin.name() == ours.name;
    });
    if (theirs == hello.plugins().end())
      return fail(ErrorCode::refused, fmt::format("it has no plugin {}/{}", ours.kind, ours.name));
    if (theirs->sha256() != ours.sha256)
      return fail(ErrorCode::refused,
                  fmt::format("its plugin {}/{} {} has sha256 {}, the head's {} has {}", ours.kind, ours.name,
                              theirs->version(), theirs->sha256(), ours.version, ours.sha256));
  }
  return {};
}

void Supervisor::hello(Replica& replica, RankState& rank, const wire::Peer& peer, const wire::Hello& hello) {
  if (rank.link == peer.link) return log::warn("cluster", "{}: a second Hello was dropped", rank.name);
  if (rank.link != 0 || rank.exit || !replica.alive() || hello.rank() != rank.plan->rank) {
    log::warn("cluster", "{}: a Hello out of place (rank {}, pid {}) was turned away", rank.name, hello.rank(),
              hello.pid());
    return bound_->close(peer.link, "this rank has joined already, or is not expected");
  }
  rank.link = peer.link;
  if (rank.pid == 0) rank.pid = hello.pid();
  if (const Status checked = check_hello(hello); !checked)
    return suspect(replica, rank, Evidence::Kind::refused, annotate(checked.error(), rank.name + " was refused"));
  log::debug("cluster", "{}: Hello from pid {} on {}; assigned", rank.name, hello.pid(), hello.host());
  wire::Envelope envelope;
  *envelope.mutable_assign() = assignment(replica, rank);
  if (const Status sent = bound_->send(peer.link, std::move(envelope)); !sent)
    suspect(replica, rank, Evidence::Kind::link_lost, annotate(sent.error(), rank.name));
}

wire::Assign Supervisor::assignment(const Replica& replica, const RankState& rank) const {
  const Plan& plan = *options_.plan;
  const RankPlan& mine = *rank.plan;
  wire::Assign assign;
  assign.set_config_toml(config_toml_);
  assign.set_config_hash(config_hash_);
  assign.set_dp(mine.dp);
  assign.set_pp(mine.pp);
  assign.set_tp(mine.tp);
  assign.set_dp_size(plan.data);
  assign.set_pp_size(plan.pipeline);
  assign.set_tp_size(plan.tensor);
  std::vector<std::string> all, tensor, pipeline, leaders;
  for (const RankState& other : replica.ranks) {
    all.push_back(other.name);
    if (other.plan->pp == mine.pp) tensor.push_back(other.name);
    if (other.plan->tp == mine.tp) pipeline.push_back(other.name);
  }
  fill(*assign.mutable_control(), replica.group("control"), mine.pp * plan.tensor + mine.tp, all);
  fill(*assign.mutable_tensor(), replica.group(fmt::format("tensor-{}", mine.pp)), mine.tp, tensor);
  fill(*assign.mutable_pipeline(), replica.group(fmt::format("pipeline-{}", mine.tp)), mine.pp, pipeline);
  if (mine.tp == 0 && mine.pp == 0 && replica.incarnation == 1) {
    for (const Replica& other : replicas_)
      leaders.push_back(other.ranks.front().name);
    fill(*assign.mutable_replicas(), "replicas/start", mine.dp, leaders);
  }
  for (const int cpu : mine.cpus)
    assign.add_cpus(cpu);
  assign.set_threads(mine.threads);
  assign.set_address(mine.address);
  assign.set_kv_memory(mine.kv_memory);
  return assign;
}

void Supervisor::phase(Replica& replica, RankState& rank, const wire::Phase& phase) {
  switch (phase.kind()) {
    case wire::PHASE_JOINED: rank.joined = true; return advance(replica);
    case wire::PHASE_LOADED:
      if (std::exchange(rank.loaded, true)) break;
      rank.weight_bytes = phase.weight_bytes();
      replica.status.weight_bytes += rank.weight_bytes;
      return log::debug("cluster", "{}: loaded {} bytes in {:.0f} ms, hash {}", rank.name, phase.weight_bytes(),
                        milliseconds(phase.seconds()), wire::to_hexadecimal(phase.weights_hash()));
    case wire::PHASE_READY:
      if (&rank != &replica.leader() || replica.said_ready) break;
      return ready(replica, rank, phase);
    case wire::PHASE_DRAINED:
    case wire::PHASE_STOPPED: return log::debug("cluster", "{}: {}", rank.name, wire::PhaseKind_Name(phase.kind()));
    default: break;
  }
  log::warn("cluster", "{}: phase {} is out of place and was dropped", rank.name, static_cast<int>(phase.kind()));
}

void Supervisor::ready(Replica& replica, const RankState& rank, const wire::Phase& phase) {
  const auto refuse = [&](std::string text) {
    suspect(replica, rank, Evidence::Kind::refused, {ErrorCode::refused, std::move(text)});
  };
  if (phase.config_hash() != config_hash_)
    return refuse(fmt::format("{} runs configuration {}, the head {}", rank.name, phase.config_hash(), config_hash_));
  if (!replica.weights_hash.empty() && replica.weights_hash != phase.weights_hash())
    return refuse(fmt::format("{}: its replica's weights hash is {}, it was {} before", rank.name,
                              wire::to_hexadecimal(phase.weights_hash()), wire::to_hexadecimal(replica.weights_hash)));
  replica.weights_hash = phase.weights_hash();
  replica.status.kv_blocks = phase.kv_blocks();
  replica.said_ready = true;
  if (replicas_.size() > 1 && replica.incarnation == 1)  // its leader has compared them, or would not say so
    log::debug("cluster", "{}: configuration and weights are those of the other replicas", rank.name);
  advance(replica);
}

void Supervisor::advance(Replica& replica) {
  const double seconds = std::chrono::duration<double>(Clock::now() - replica.entered).count();
  if (replica.state == ReplicaState::joining && replica.all_joined() &&
      apply(replica, ReplicaEvent::joined, "every rank has joined, groups are open"))
    replica.status.join_seconds = seconds;
  if (replica.state != ReplicaState::loading || !replica.said_ready) return;
  replica.status.load_seconds = std::chrono::duration<double>(Clock::now() - replica.entered).count();
  if (!apply(replica, ReplicaEvent::ready_to_run,
             fmt::format("ready, {} KV blocks, weights {}", replica.status.kv_blocks,
                         wire::to_hexadecimal(replica.weights_hash))))
    return;
  publish(false);
  events_.on_ready(replica.plan->dp, replica.incarnation);
}

// The lease runs from the first heartbeat on: before it a rank opens its groups, and timeouts.join bounds that.
void Supervisor::heartbeat(RankState& rank, const wire::Heartbeat& heartbeat) {
  if (rank.exit) return;
  rank.heard = Clock::now();
  const bool moved = heartbeat.step() != rank.step || heartbeat.layer() != rank.layer;
  rank.step = heartbeat.step();
  rank.layer = heartbeat.layer();
  if (!heartbeat.busy())
    rank.progressed = Time::max();
  else if (moved || rank.progressed == Time::max())
    rank.progressed = Clock::now();
}

}  // namespace weft::cluster_detail
