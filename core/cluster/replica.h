// What the supervisor knows of a replica and of its ranks. Private to core/cluster; plain state, the cluster thread's.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/wire/link.h"

namespace weft::cluster_detail {

struct RankState {
  const RankPlan* plan = nullptr;
  std::string name;  // "rank 3 (replica 1, pp 0, tp 1)"
  std::int64_t pid = 0;
  wire::LinkId link = 0;     // 0: none
  bool joined = false;       // its groups are open
  bool loaded = false;       // weights and cache are there
  Time heard = Time::max();  // last word of it since it began to beat; max: it has not begun, or is no more awaited
  Time progressed = Time::max();  // when its progress stamp last moved while busy
  std::int64_t step = 0;
  std::int32_t layer = 0;
  Bytes weight_bytes = 0;
  int settles_owed = 0;  // answers to Settle that are still to come
  std::optional<Exit> exit;
};

// One sign that a replica is failing. The kinds are ordered: the smallest is closest to the root.
struct Evidence {
  enum class Kind {
    crashed,    // ended by a signal, with its node, or never started
    refused,    // it is not what the head expects
    exited,     // with a code
    failure,    // it told why
    hung,       // no progress
    silent,     // not heard of
    aftermath,  // it told of something that another rank's end does to its peers
    link_lost
  };
  Kind kind = Kind::link_lost;
  std::int32_t rank = -1;
  Error error;
};

struct Replica {
  const ReplicaPlan* plan = nullptr;
  std::int64_t incarnation = 1;
  ReplicaState state = ReplicaState::launching;
  Time entered{};               // this state
  Time deadline = Time::max();  // of this state
  std::vector<RankState> ranks;
  bool said_ready = false;  // its leader has
  std::vector<Evidence> evidence;
  Time decide_at = Time::max();  // when the evidence is weighed
  Error error;                   // down: why
  ReplicaStatus status;          // what callers see
  std::string weights_hash;      // of the replica's ranks together, remembered for relaunches

  GangId gang() const { return {"replica-" + std::to_string(plan->dp), incarnation}; }
  // The prefix of its groups' ids: nothing of an earlier incarnation is ever met.
  std::string group(const std::string& which) const {
    return gang().id + "." + std::to_string(incarnation) + "/" + which;
  }
  bool ended() const {
    return std::all_of(ranks.begin(), ranks.end(), [](const RankState& rank) { return rank.exit.has_value(); });
  }
  bool all_joined() const {
    return std::all_of(ranks.begin(), ranks.end(), [](const RankState& rank) { return rank.joined; });
  }
  bool serves() const { return state == ReplicaState::ready || state == ReplicaState::draining; }
  bool alive() const {
    return serves() || state == ReplicaState::launching || state == ReplicaState::joining ||
           state == ReplicaState::loading;
  }
  RankState& leader() { return ranks.front(); }
};

// "rank 3 (replica 1, pp 0, tp 1)"
std::string rank_name(const RankPlan& plan);
// "was killed by signal 9 (SIGKILL)", "exited with code 3", "went with its node"
std::string exit_text(const Exit& exit);
// "rank 3 (...), pid 812,": as far as it is known.
std::string name_with_pid(const RankState& rank);

}  // namespace weft::cluster_detail
