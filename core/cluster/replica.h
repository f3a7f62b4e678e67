// What the supervisor knows of a replica and of its ranks. Private to core/cluster; plain state, the cluster thread's.
#pragma once

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
  wire::LinkId link = 0;          // 0: none
  bool joined = false;            // its groups are open
  Time heard = Time::max();       // last word of it; max: not yet
  Time progressed = Time::max();  // when its progress stamp last moved while busy
  std::int64_t step = 0;
  std::int32_t layer = 0;
  std::optional<Exit> exit;
};

// One sign that a replica is failing. The kinds are ordered: the smallest is closest to the root.
struct Evidence {
  enum class Kind { crashed, refused, exited, hung, silent, failure, link_lost };
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
    for (const RankState& rank : ranks)
      if (!rank.exit) return false;
    return true;
  }
  bool alive() const {
    return state == ReplicaState::launching || state == ReplicaState::joining || state == ReplicaState::loading ||
           state == ReplicaState::ready || state == ReplicaState::draining;
  }
  RankState& leader() { return ranks.front(); }
};

// "rank 3 (replica 1, pp 0, tp 1)"
std::string rank_name(const RankPlan& plan);
// "was killed by signal 9 (SIGKILL)", "exited with code 3", "its node was lost"
std::string exit_text(const Exit& exit);

}  // namespace weft::cluster_detail
