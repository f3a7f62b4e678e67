// Deadlines, signs of failure, and how a replica goes down.
//
// A killed rank is heard of in many ways: its exit, its lost link, and its peers' broken collectives, in any order. The
// first sign opens a window in which a better explanation may come; then the sign that is closest to the root is told.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/cluster/supervisor.h"
#include "core/telemetry/log.h"

namespace weft::cluster_detail {
namespace {

constexpr int log_lines = 20;  // of a lost rank's log, in the error
// For an executor to fetch them. The cluster's thread waits so long and no longer: far below any lease.
constexpr Duration log_patience = std::chrono::seconds(1);

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// How long after such a sign a better explanation may still come.
Duration window(Evidence::Kind kind) {
  using Kind = Evidence::Kind;
  switch (kind) {
    case Kind::crashed:
    case Kind::refused: return Duration::zero();
    case Kind::exited:  // its own word may be on its way
    case Kind::hung:
    case Kind::silent: return std::chrono::milliseconds(300);
    case Kind::failure: return std::chrono::milliseconds(500);  // its exit code
    case Kind::aftermath: return std::chrono::seconds(1);       // what happened to its peer
    case Kind::link_lost: break;                                // its exit: a process is not gone as soon as its links
  }
  return std::chrono::seconds(2);
}

const Evidence* told_by(const Replica& replica, std::int32_t rank) {
  for (const Evidence& each : replica.evidence)
    if (each.rank == rank && (each.kind == Evidence::Kind::failure || each.kind == Evidence::Kind::aftermath))
      return &each;
  return nullptr;
}

// What stands for the rest. An exit with a code says less than what the same rank told before it.
const Evidence& root_of(const Replica& replica) {
  const auto weight = [&](const Evidence& evidence) {
    const Evidence* told = evidence.kind == Evidence::Kind::exited ? told_by(replica, evidence.rank) : nullptr;
    return told != nullptr ? 2 * static_cast<int>(told->kind) + 1 : 2 * static_cast<int>(evidence.kind);
  };
  return *std::min_element(replica.evidence.begin(), replica.evidence.end(),
                           [&](const Evidence& a, const Evidence& b) { return weight(a) < weight(b); });
}

// Whether every rank that ended with a code has said why. One that has not may be the cause of what the others say.
bool all_exits_explained(const Replica& replica) {
  return std::all_of(replica.evidence.begin(), replica.evidence.end(), [&](const Evidence& each) {
    return each.kind != Evidence::Kind::exited || told_by(replica, each.rank) != nullptr;
  });
}

void add_name(std::string& names, const std::string& name) { names += (names.empty() ? "" : ", ") + name; }

}  // namespace

std::string exit_text(const Exit& exit) {
  const std::string detail = exit.detail.empty() ? "" : fmt::format(" ({})", exit.detail);
  switch (exit.cause) {
    case Exit::Cause::code: return fmt::format("exited with code {}{}", exit.value, detail);
    case Exit::Cause::signal: {
      const char* name = sigabbrev_np(exit.value);
      const bool named = name != nullptr && detail.find(name) == std::string::npos;  // executors may have named it
      return fmt::format("was killed by signal {}{}{}", exit.value, named ? fmt::format(" (SIG{})", name) : "", detail);
    }
    case Exit::Cause::node_lost: return "went with its node" + detail;
    case Exit::Cause::never_started: return "could not be started" + detail;
    case Exit::Cause::unknown: break;
  }
  return "ended for an unknown reason" + detail;
}

std::string name_with_pid(const RankState& rank) {
  return rank.pid > 0 ? fmt::format("{}, pid {},", rank.name, rank.pid) : rank.name;
}

Time Supervisor::next_deadline() const {
  Time next = std::min(settling_ ? settling_->deadline.at() : Time::max(), kill_at_);
  const auto& timeouts = options_.config->timeouts;
  for (const Replica& replica : replicas_) {
    if (!replica.alive()) continue;
    next = std::min(next, replica.evidence.empty() ? replica.deadline : replica.decide_at);
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
    for (const Replica& replica : replicas_)
      end_gang(replica, Duration::zero());
  }
  for (Replica& replica : replicas_)
    if (replica.alive()) check_replica(replica, now);
  if (settling_ && now >= settling_->deadline.at()) settlement_deadline_passed();
}

void Supervisor::check_replica(Replica& replica, Time now) {
  for (RankState& rank : replica.ranks)
    check_rank(replica, rank, now);
  if (replica.evidence.empty() && now >= replica.deadline) state_deadline_passed(replica);
  if (now >= replica.decide_at) go_down(replica);
}

void Supervisor::check_rank(Replica& replica, RankState& rank, Time now) {
  const auto& timeouts = options_.config->timeouts;
  if (rank.heard != Time::max() && now >= rank.heard + timeouts.lease) {
    rank.heard = Time::max();
    suspect(replica, rank, Evidence::Kind::silent,
            {ErrorCode::unavailable,
             fmt::format("{} has not been heard of for {:.1f} s (timeouts.lease)", name_with_pid(rank),
                         seconds(timeouts.lease)),
             true});
  }
  if (rank.progressed != Time::max() && now >= rank.progressed + timeouts.stall) {
    rank.progressed = Time::max();
    suspect(replica, rank, Evidence::Kind::hung,
            {ErrorCode::unavailable,
             fmt::format("{} has work and has made no progress for {:.1f} s (timeouts.stall); last seen at step {}, "
                         "layer {}",
                         name_with_pid(rank), seconds(timeouts.stall), rank.step, rank.layer),
             true});
  }
}

// Names the ranks that are missing; the first of them lends its log.
void Supervisor::state_deadline_passed(Replica& replica) {
  const auto& timeouts = options_.config->timeouts;
  std::string missing, what;
  const RankState* first = nullptr;
  const auto miss = [&](const RankState& rank) {
    if (first == nullptr) first = &rank;
    add_name(missing, rank.name);
  };
  for (const RankState& rank : replica.ranks)
    if (replica.state == ReplicaState::launching || (replica.state == ReplicaState::joining && !rank.joined) ||
        (replica.state == ReplicaState::loading && !rank.loaded))
      miss(rank);
  if (first == nullptr) miss(replica.leader());  // all have loaded, and the leader has not said that they can run
  switch (replica.state) {
    case ReplicaState::launching:
      what = fmt::format("not placed within {:.1f} s (timeouts.launch)", seconds(timeouts.launch));
      break;
    case ReplicaState::joining:
      what = fmt::format("did not join within {:.1f} s (timeouts.join)", seconds(timeouts.join));
      break;
    default: what = fmt::format("not ready within {:.1f} s (timeouts.load)", seconds(timeouts.load));
  }
  replica.evidence.push_back({Evidence::Kind::silent,
                              first->plan->rank,
                              {ErrorCode::deadline_exceeded, fmt::format("{}: {}", missing, what), true}});
  replica.decide_at = Clock::now();
}

void Supervisor::suspect(Replica& replica, const RankState& rank, Evidence::Kind kind, Error error) {
  if (!replica.alive()) return;
  log::debug("cluster", "replica {}: {}", replica.plan->dp, error.message);
  const Evidence* told = kind == Evidence::Kind::exited ? told_by(replica, rank.plan->rank) : nullptr;
  const bool explained = told != nullptr && told->kind == Evidence::Kind::failure && all_exits_explained(replica);
  replica.evidence.push_back({kind, rank.plan->rank, std::move(error)});
  replica.decide_at = std::min(replica.decide_at, Clock::now() + (explained ? Duration::zero() : window(kind)));
}

std::string Supervisor::log_of(const Replica& replica, std::int32_t rank) const {
  if (log_tails_ != nullptr) {
    if (auto tail = log_tails_->log_tail(replica.gang(), rank, log_lines, Deadline::in(log_patience)))
      return *tail;
    else
      log::debug("cluster", "rank {}: the executor has no log of it: {}", rank, tail.error().message);
  }
  return tail_of_file(options_.run_directory->log_path(rank, replica.incarnation), log_lines);
}

void Supervisor::go_down(Replica& replica) {
  replica.decide_at = Time::max();
  const Evidence& root = root_of(replica);
  replica.error = root.error;
  for (const RankState& rank : replica.ranks)
    if (rank.plan->rank == root.rank && rank.exit && root.kind >= Evidence::Kind::failure)
      replica.error.message += fmt::format(" ({} {})", name_with_pid(rank), exit_text(*rank.exit));
  if (const std::string tail = log_of(replica, root.rank); !tail.empty())
    replica.error.message +=
        fmt::format("\nlast lines of {}:\n{}", options_.run_directory->log_path(root.rank, replica.incarnation), tail);
  if (!apply(replica, ReplicaEvent::rank_lost, root.error.message)) return;
  publish(false);
  events_.on_down(replica.plan->dp, replica.incarnation, replica.error);
  store_host_.retire("group/" + replica.group(""), root.error.message);
  end_gang(replica, Duration::zero());
  settlement_lost(replica);
}

}  // namespace weft::cluster_detail
