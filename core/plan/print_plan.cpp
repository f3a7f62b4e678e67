#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/plan/plan.h"

namespace weft {
namespace {

// "0-3,8": runs of consecutive numbers.
std::string ranges(const std::vector<int>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t end = i;
    while (end + 1 < numbers.size() && numbers[end + 1] == numbers[end] + 1)
      ++end;
    text += (text.empty() ? "" : ",") +
            (end == i ? fmt::format("{}", numbers[i]) : fmt::format("{}-{}", numbers[i], numbers[end]));
    i = end + 1;
  }
  return text.empty() ? "not bound" : text;
}

}  // namespace

std::string plan_table(const Plan& plan) {
  std::string out = fmt::format("{} replica{} x {} pipeline stage{} x {} tensor rank{} = {} ranks\n", plan.data,
                                plan.data == 1 ? "" : "s", plan.pipeline, plan.pipeline == 1 ? "" : "s", plan.tensor,
                                plan.tensor == 1 ? "" : "s", plan.world_size());
  out += fmt::format("device {}, communicator {}, control {}, distribution {}\n\n", plan.device, plan.communicator,
                     plan.control, plan.distribution);
  out += fmt::format("{:>5} {:>8} {:>3} {:>3}  {:<20} {:>9} {:>8}  {}\n", "rank", "replica", "pp", "tp", "node",
                     "layers", "threads", "cores");
  for (const ReplicaPlan& replica : plan.replicas)
    for (const RankPlan& rank : replica.ranks)
      out += fmt::format("{:>5} {:>8} {:>3} {:>3}  {:<20} {:>9} {:>8}  {}{}\n", rank.rank, rank.dp, rank.pp, rank.tp,
                         rank.node, fmt::format("{}-{}", rank.first_layer, rank.last_layer - 1), rank.threads,
                         ranges(rank.cpus), rank.tp == 0 && rank.pp == 0 ? "  leader" : "");
  for (const std::string& reason : plan.reasons)
    out += "\n" + reason;
  for (const std::string& warning : plan.warnings)
    out += "\nwarning: " + warning;
  if (!plan.reasons.empty() || !plan.warnings.empty()) out += "\n";
  return out;
}

std::string plan_json(const Plan& plan) {
  nlohmann::ordered_json json = {{"data", plan.data},
                                 {"pipeline", plan.pipeline},
                                 {"tensor", plan.tensor},
                                 {"device", plan.device},
                                 {"communicator", plan.communicator},
                                 {"control", plan.control},
                                 {"distribution", plan.distribution}};
  json["replicas"] = nlohmann::ordered_json::array();
  for (const ReplicaPlan& replica : plan.replicas) {
    nlohmann::ordered_json ranks = nlohmann::ordered_json::array();
    for (const RankPlan& rank : replica.ranks)
      ranks.push_back({{"rank", rank.rank},
                       {"dp", rank.dp},
                       {"pp", rank.pp},
                       {"tp", rank.tp},
                       {"node", rank.node},
                       {"address", rank.address},
                       {"layers", {rank.first_layer, rank.last_layer}},
                       {"threads", rank.threads},
                       {"cpus", rank.cpus}});
    json["replicas"].push_back({{"dp", replica.dp}, {"ranks", std::move(ranks)}});
  }
  json["reasons"] = plan.reasons;
  json["warnings"] = plan.warnings;
  return json.dump(2) + "\n";
}

}  // namespace weft
