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

// Which plugins "auto" stands for here, and why.
struct PluginNames {
  std::string communicator;
  std::string control;
  std::string device;
  std::vector<std::string> reasons;
};
PluginNames resolve_plugins(const Config& config);

// Which layers a pipeline stage has: as even as can be, earlier stages take the remainder.
struct LayerRange {
  std::int32_t first = 0;
  std::int32_t last = 0;
};
LayerRange layers_of_stage(std::int32_t layers, std::int32_t stages, std::int32_t stage) noexcept;

// Every reason why this cannot be, all at once: invalid_argument, one reason a line.
Result<Plan> make_plan(const Config& config, const ModelShape& shape, const Inventory& inventory);

// For people: a table, then why and warnings.
std::string plan_table(const Plan& plan);
// For programs: the same as JSON.
std::string plan_json(const Plan& plan);

}  // namespace weft
