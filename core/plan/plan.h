// Plan: which ranks make up which replica, on which node, with which cores. A pure function of the configuration, the
// model's shape and the executor's inventory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "weft/executor.h"
#include "weft/model_shape.h"

namespace weft {

// One position. Global rank = (dp * pipeline + pp) * tensor + tp: tensor parallelism changes fastest.
struct RankPlan {
  std::int32_t rank = 0;  // global
  std::int32_t dp = 0;
  std::int32_t pp = 0;
  std::int32_t tp = 0;
  std::string node;
  std::string address;    // the node's
  std::vector<int> cpus;  // logical CPUs; empty: not bound (oversubscribed)
  std::int32_t threads = 1;
  Bytes kv_memory = 0;           // of its KV cache
  std::int32_t first_layer = 0;  // [first_layer, last_layer)
  std::int32_t last_layer = 0;
};

struct ReplicaPlan {
  std::int32_t dp = 0;
  std::vector<RankPlan> ranks;  // the leader (tp = pp = 0) first
};

struct Plan {
  std::int32_t data = 1;
  std::int32_t pipeline = 1;
  std::int32_t tensor = 1;
  std::vector<ReplicaPlan> replicas;
  std::string communicator;  // resolved from "auto"
  std::string control;
  std::string device;
  std::string distribution;  // batch.distribution
  std::vector<std::string> warnings;
  std::vector<std::string> reasons;  // why each "auto" became what it is

  std::int32_t world_size() const noexcept { return data * pipeline * tensor; }
};

// Which of the plan's groups go from node to node.
struct Spread {
  bool replicas = false;  // some replica's ranks are on several nodes
  bool leaders = false;   // the leaders are
  std::string where;      // for people: "replica 0 on a and b"
};

// Why plugins that "auto" would choose cannot be used; empty: they can.
struct Unusable {
  std::string shm;
};

// Which plugins "auto" stands for here, and why. Shared memory joins the ranks of one machine only.
struct PluginNames {
  std::string communicator;
  std::string control;
  std::string device;
  std::vector<std::string> reasons;
  std::vector<std::string> warnings;
};
PluginNames resolve_plugins(const Config& config, const Spread& spread, const Unusable& unusable);

// Which layers a pipeline stage has: as even as can be, earlier stages take the remainder.
struct LayerRange {
  std::int32_t first = 0;
  std::int32_t last = 0;
};
LayerRange layers_of_stage(std::int32_t layers, std::int32_t stages, std::int32_t stage) noexcept;

// Every reason why this cannot be, all at once: invalid_argument, one reason a line.
Result<Plan> make_plan(const Config& config, const ModelShape& shape, const Inventory& inventory,
                       const Unusable& unusable = {});

// For people: a table, then why and warnings.
std::string plan_table(const Plan& plan);
// For programs: the same as JSON.
std::string plan_json(const Plan& plan);

}  // namespace weft
