// What workers say to the head: joining, phases, heartbeats, and the settlement at the end.
#include <fmt/format.h>

#include <algorithm>

#include "core/cluster/supervisor.h"
#include "core/telemetry/log.h"
#include "core/wire/convert.h"

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
  const auto statuses = replicas();
  const auto dp = static_cast<std::size_t>(peer.rank / (options_.plan->tensor * options_.plan->pipeline));
  if (statuses[dp].incarnation != peer.incarnation)
    return fail(ErrorCode::refused,
                fmt::format("replica {} is at incarnation {}, not {}", dp, statuses[dp].incarnation, peer.incarnation));
  return {};
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
  if (rank->link != peer.link && !envelope.has_hello()) {
    log::warn("cluster", "{}: a message before Hello was dropped", rank->name);
    return;
  }
  if (replica->alive()) rank->heard = Clock::now();
  switch (envelope.body_case()) {
    case wire::Envelope::kHello: return hello(*replica, *rank, peer, envelope.hello());
    case wire::Envelope::kPhase: return phase(*replica, *rank, envelope.phase());
    case wire::Envelope::kHeartbeat: return heartbeat(*rank, envelope.heartbeat());
    case wire::Envelope::kFailure:
      return suspect(*replica, *rank, Evidence::Kind::failure,
                     annotate(wire::from_wire(envelope.failure().error()), rank->name));
    case wire::Envelope::kSettled: return settled(*replica, envelope.settled());
    default:
      log::warn("cluster", "{}: message of kind {} has no meaning here and was dropped", rank->name,
                static_cast<int>(envelope.body_case()));
  }
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
  if (rank.link != 0 || !replica.alive() || hello.rank() != rank.plan->rank) {
    log::warn("cluster", "{}: a Hello out of place (rank {}, pid {}) was turned away", rank.name, hello.rank(),
              hello.pid());
    return bound_->close(peer.link, "this rank has joined already, or is not expected");
  }
  rank.link = peer.link;
  rank.heard = Clock::now();
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
    case wire::PHASE_JOINED:
      rank.joined = true;
      if (std::all_of(replica.ranks.begin(), replica.ranks.end(), [](const RankState& each) { return each.joined; })) {
        replica.status.join_seconds = std::chrono::duration<double>(Clock::now() - replica.entered).count();
        apply(replica, ReplicaEvent::joined, "every rank has joined, groups are open");
      }
      return;
    case wire::PHASE_LOADED:
      replica.status.weight_bytes += phase.weight_bytes();
      log::debug("cluster", "{}: loaded {} bytes in {:.0f} ms, hash {}", rank.name, phase.weight_bytes(),
                 milliseconds(phase.seconds()), wire::to_hexadecimal(phase.weights_hash()));
      return;
    case wire::PHASE_READY:
      if (phase.config_hash() != config_hash_)
        return suspect(replica, rank, Evidence::Kind::refused,
                       {ErrorCode::refused, fmt::format("{} runs configuration {}, the head {}", rank.name,
                                                        phase.config_hash(), config_hash_)});
      if (!replica.weights_hash.empty() && replica.weights_hash != phase.weights_hash())
        return suspect(replica, rank, Evidence::Kind::refused,
                       {ErrorCode::refused, fmt::format("{}: its replica's weights hash is {}, it was {} before",
                                                        rank.name, wire::to_hexadecimal(phase.weights_hash()),
                                                        wire::to_hexadecimal(replica.weights_hash))});
      replica.weights_hash = phase.weights_hash();
      replica.status.kv_blocks = phase.kv_blocks();
      replica.status.load_seconds = std::chrono::duration<double>(Clock::now() - replica.entered).count();
      if (apply(replica, ReplicaEvent::ready_to_run,
                fmt::format("ready, {} KV blocks, weights {}", phase.kv_blocks(),
                            wire::to_hexadecimal(phase.weights_hash())))) {
        publish();
        events_.on_ready(replica.plan->dp, replica.incarnation);
      }
      return;
    default: log::debug("cluster", "{}: phase {}", rank.name, static_cast<int>(phase.kind()));
  }
}

void Supervisor::heartbeat(RankState& rank, const wire::Heartbeat& heartbeat) {
  const bool moved = heartbeat.step() != rank.step || heartbeat.layer() != rank.layer;
  rank.step = heartbeat.step();
  rank.layer = heartbeat.layer();
  if (!heartbeat.busy())
    rank.progressed = Time::max();
  else if (moved || rank.progressed == Time::max())
    rank.progressed = Clock::now();
}

// ---- the settlement ----

Result<Settlement> Supervisor::settle(Deadline deadline) {
  auto promise = std::make_shared<std::promise<Result<Settlement>>>();
  std::future<Result<Settlement>> future = promise->get_future();
  post([this, promise, deadline] {
    if (settling_) return promise->set_value(fail(ErrorCode::failed_precondition, "a settlement is under way"));
    settling_.emplace(Settling{.result = {}, .promise = std::move(*promise), .deadline = deadline.at()});
    std::vector<Replica*> members;
    std::vector<std::string> names;
    for (Replica& replica : replicas_) {
      if (replica.state != ReplicaState::ready && replica.state != ReplicaState::draining) {
        settling_->result.left_out.push_back(replica.plan->dp);
        continue;
      }
      members.push_back(&replica);
      names.push_back(replica.leader().name);
      settling_->result.members.push_back(replica.plan->dp);
    }
    const std::string id = fmt::format("replicas/settle-{}", ++settlements_);
    log::debug("cluster", "settling over {} replica(s) in group {}", members.size(), id);
    for (std::size_t i = 0; i < members.size(); ++i) {
      wire::Envelope envelope;
      fill(*envelope.mutable_settle()->mutable_group(), id, static_cast<std::int32_t>(i), names);
      const auto left = std::min<Duration>(deadline.left(), options_.config->timeouts.collective);
      envelope.mutable_settle()->set_timeout_ms(std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
      (void)bound_->send(members[i]->leader().link, std::move(envelope));  // a lost link is heard of by itself
    }
    if (members.empty()) finish_settlement();
  });
  return future.get();  // finish_settlement() at the deadline ends it
}

void Supervisor::settled(Replica& replica, const wire::Settled& settled) {
  if (!settling_) return;
  Settlement& result = settling_->result;
  if (settled.error().code() != 0) {
    settling_->promise.set_value(
        fail(annotate(wire::from_wire(settled.error()), "settlement: " + replica.leader().name)));
    settling_.reset();
    return;
  }
  result.each[replica.plan->dp] = {settled.requests(), settled.tokens()};
  result.requests = settled.total_requests();
  result.tokens = settled.total_tokens();
  log::debug("cluster", "replica {} delivered {} requests, {} tokens; all-reduced {} and {}", replica.plan->dp,
             settled.requests(), settled.tokens(), settled.total_requests(), settled.total_tokens());
  if (result.each.size() == result.members.size()) finish_settlement();
}

void Supervisor::finish_settlement() {
  Settlement& result = settling_->result;
  std::string missing;
  for (const std::int32_t dp : result.members)
    if (result.each.count(dp) == 0) missing += fmt::format("{}replica {}", missing.empty() ? "" : ", ", dp);
  if (missing.empty())
    settling_->promise.set_value(std::move(result));
  else
    settling_->promise.set_value(fail(ErrorCode::deadline_exceeded, "settlement: no answer from " + missing, true));
  settling_.reset();
}

}  // namespace weft::cluster_detail
