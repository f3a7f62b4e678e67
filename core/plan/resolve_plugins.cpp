#include <fmt/format.h>

#include <set>

#include "core/plan/plan.h"
#include "core/plan/spread.h"

namespace weft {

Spread spread_of(const Plan& plan) {
  Spread spread;
  std::set<std::string> leaders;
  for (const ReplicaPlan& replica : plan.replicas) {
    std::set<std::string> nodes;
    for (const RankPlan& rank : replica.ranks)
      nodes.insert(rank.node);
    leaders.insert(replica.ranks.front().node);
    if (nodes.size() > 1 && !spread.replicas)
      spread.where = fmt::format("replica {} is on {}", replica.dp, fmt::join(nodes, " and "));
    spread.replicas |= nodes.size() > 1;
  }
  spread.leaders = leaders.size() > 1;
  if (spread.leaders && !spread.replicas)
    spread.where = fmt::format("the leaders are on {}", fmt::join(leaders, " and "));
  return spread;
}

PluginNames resolve_plugins(const Config& config, const Spread& spread, const Unusable& unusable) {
  PluginNames names;
  const auto chosen = [&](const char* what, std::string name, const std::string& why) {
    names.reasons.push_back(fmt::format("{} = auto: {}, {}", what, name, why));
    return name;
  };
  names.communicator = config.communicator.plugin;
  if (names.communicator == "auto") {
    if (spread.replicas) {
      names.communicator = chosen("communicator.plugin", "gloo", spread.where);
    } else if (!unusable.shm.empty()) {
      names.communicator = chosen("communicator.plugin", "gloo", "shm cannot be used here");
      names.warnings.push_back(fmt::format(
          "communicator.plugin = auto: gloo, which is slower on one machine, because shm cannot be used: {}",
          unusable.shm));
    } else {
      names.communicator = chosen("communicator.plugin", "shm", "each copy's ranks are on one machine");
    }
  }
  names.control = config.control;
  if (names.control == "auto") {
    // The control plugin also carries the leaders' groups, which join the copies.
    if (names.communicator == "shm" && (spread.replicas || spread.leaders))
      names.control = chosen("communicator.control", "gloo", spread.where);
    else
      names.control = chosen("communicator.control", names.communicator, "as the tensors' groups");
  }
  names.device = config.device.plugin;
  if (names.device == "auto") names.device = chosen("device.plugin", "cpu", "no GPU device in this version");
  return names;
}

}  // namespace weft
