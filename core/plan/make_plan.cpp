#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/plan/plan.h"
#include "core/plan/spread.h"

namespace weft {
namespace {

// Every reason against, collected.
class Refusals {
 public:
  template <class... Args>
  void add(fmt::format_string<Args...> text, Args&&... args) {
    all_ += (all_.empty() ? "" : "\n") + fmt::format(text, std::forward<Args>(args)...);
  }
  bool none() const noexcept { return all_.empty(); }
  const std::string& text() const noexcept { return all_; }

 private:
  std::string all_;
};

void check_sizes(const Config& config, const ModelShape& shape, Refusals& refusals) {
  const auto& parallel = config.parallel;
  if (parallel.data < 1) refusals.add("parallel.data = {}: expected at least 1 copy", parallel.data);
  if (parallel.tensor < 1) refusals.add("parallel.tensor = {}: expected at least 1 rank", parallel.tensor);
  if (parallel.pipeline < 1) refusals.add("parallel.pipeline = {}: expected at least 1 stage", parallel.pipeline);
  if (!refusals.none()) return;
  if (shape.query_heads % parallel.tensor != 0)
    refusals.add("parallel.tensor = {} does not divide the model's {} query heads; legal are the divisors of {}",
                 parallel.tensor, shape.query_heads, shape.query_heads);
  if (shape.kv_heads % parallel.tensor != 0 && parallel.tensor % shape.kv_heads != 0)
    refusals.add("parallel.tensor = {} neither divides nor is a multiple of the model's {} KV heads", parallel.tensor,
                 shape.kv_heads);
  if (shape.intermediate % parallel.tensor != 0)
    refusals.add("parallel.tensor = {} does not divide the model's intermediate size {}", parallel.tensor,
                 shape.intermediate);
  if (parallel.pipeline > shape.layers)
    refusals.add("parallel.pipeline = {} is more than the model's {} layers: a stage needs at least one",
                 parallel.pipeline, shape.layers);
  if (config.model.max_context && *config.model.max_context > shape.max_context)
    refusals.add("model.max_context = {} is more than the model's own {}", *config.model.max_context,
                 shape.max_context);
}

// The node of each TP group, (dp, pp) -> index: groups of one replica together where the node has room, nodes filled in
// proportion to their cores.
std::vector<std::size_t> place_groups(const Config& config, const Inventory& inventory) {
  const auto& parallel = config.parallel;
  const std::size_t groups = static_cast<std::size_t>(parallel.data) * static_cast<std::size_t>(parallel.pipeline);
  std::vector<double> load(inventory.nodes.size(), 0);
  std::vector<std::size_t> placed(groups, 0);
  const auto cost = [&](std::size_t node) {
    return (load[node] + parallel.tensor) /
           static_cast<double>(std::max<std::size_t>(1, inventory.nodes[node].cpus.size()));
  };
  for (std::size_t group = 0; group < groups; ++group) {
    std::size_t best = 0;
    for (std::size_t node = 1; node < inventory.nodes.size(); ++node)
      if (cost(node) < cost(best)) best = node;
    const bool same_replica = group % static_cast<std::size_t>(parallel.pipeline) != 0;
    if (same_replica && cost(placed[group - 1]) <= 1) best = placed[group - 1];
    load[best] += parallel.tensor;
    placed[group] = best;
  }
  return placed;
}

// Shares a node's cores out among its ranks; cores are bound only where every rank has its own.
void share_cores(const Config& config, const Node& node, std::vector<RankPlan*>& ranks, Plan& plan,
                 Refusals& refusals) {
  if (ranks.empty()) return;
  const auto cores = static_cast<std::int32_t>(node.cpus.size());
  const auto count = static_cast<std::int32_t>(ranks.size());
  const bool asked = config.parallel.threads.has_value();
  const std::int32_t threads = asked ? *config.parallel.threads : std::max(1, cores / count);
  if (asked && std::int64_t{threads} * count > cores && !config.parallel.oversubscribe)
    refusals.add(
        "node {}: {} ranks of parallel.threads = {} need {} cores, it has {}; ask for less, or say "
        "parallel.oversubscribe = true",
        node.name, count, threads, std::int64_t{threads} * count, cores);
  const bool bound = std::int64_t{threads} * count <= cores;
  if (!bound)
    plan.warnings.push_back(
        fmt::format("node {}: {} ranks of {} thread{} share {} core{}: oversubscribed, ranks are not bound to cores",
                    node.name, count, threads, threads == 1 ? "" : "s", cores, cores == 1 ? "" : "s"));
  std::size_t next = 0;
  for (RankPlan* rank : ranks) {
    rank->threads = threads;
    for (std::int32_t i = 0; bound && i < threads; ++i)
      rank->cpus.push_back(node.cpus[next++]);
  }
}

// A share of the node's memory is split evenly over its ranks.
void give_kv_memory(const Config& config, const Node& node, std::vector<RankPlan*>& ranks, Refusals& refusals) {
  const MemoryAmount& amount = config.engine.kv_memory;
  if (amount.share > 0 && node.memory == 0 && !ranks.empty())
    refusals.add("engine.kv_memory is a share, but the memory of node {} is not known; give a size, as in \"512MiB\"",
                 node.name);
  for (RankPlan* rank : ranks)
    rank->kv_memory =
        amount.share > 0
            ? static_cast<Bytes>(static_cast<double>(node.memory) * amount.share / static_cast<double>(ranks.size()))
            : amount.bytes;
}

void check_devices(const Config& config, const Plan& plan, const Node& node, std::size_t ranks, Refusals& refusals) {
  const auto has = static_cast<std::size_t>(std::count_if(node.devices.begin(), node.devices.end(),
                                                          [&](const NodeDevice& d) { return d.kind == plan.device; }));
  const bool accelerator = has > 0 || plan.device == "cuda";
  if (accelerator && ranks > has && !config.parallel.oversubscribe)
    refusals.add("node {}: {} ranks need {} {} devices, it has {}; ask for less, or say parallel.oversubscribe = true",
                 node.name, ranks, ranks, plan.device, has);
}

bool is_loopback(const std::string& address) {
  return address.rfind("127.", 0) == 0 || address == "localhost" || address == "::1";
}

// Workers elsewhere are told an address of the head. One that means "this machine" to each of them is found out now, and
// not when they have not joined in time.
void check_head_is_reached(const Config& config, const Node& node, Refusals& refusals) {
  if (!config.cluster.advertise.empty() || is_loopback(node.address)) return;
  const std::string& listen = config.cluster.listen;
  const std::string host = listen.substr(0, listen.rfind(':'));
  if (is_loopback(host))
    refusals.add(
        "node {} ({}): the head listens on {}, which is reached from this machine alone; set cluster.listen to an "
        "address of this machine that the nodes reach, as in \"192.0.2.1:0\"",
        node.name, node.address, host);
  if (host == "0.0.0.0")
    refusals.add("node {} ({}): cluster.listen = \"{}\" is no address to reach the head by; set cluster.advertise",
                 node.name, node.address, listen);
}

void make_ranks(const Config& config, const ModelShape& shape, const Inventory& inventory, Plan& plan) {
  const std::vector<std::size_t> nodes = place_groups(config, inventory);
  for (std::int32_t dp = 0; dp < plan.data; ++dp) {
    ReplicaPlan replica{.dp = dp, .ranks = {}};
    for (std::int32_t pp = 0; pp < plan.pipeline; ++pp)
      for (std::int32_t tp = 0; tp < plan.tensor; ++tp) {
        const Node& node = inventory.nodes[nodes[static_cast<std::size_t>(dp * plan.pipeline + pp)]];
        const LayerRange layers = layers_of_stage(shape.layers, plan.pipeline, pp);
        replica.ranks.push_back({.rank = (dp * plan.pipeline + pp) * plan.tensor + tp,
                                 .dp = dp,
                                 .pp = pp,
                                 .tp = tp,
                                 .node = node.name,
                                 .address = node.address,
                                 .cpus = {},
                                 .threads = 1,
                                 .first_layer = layers.first,
                                 .last_layer = layers.last});
      }
    plan.replicas.push_back(std::move(replica));
  }
}

}  // namespace

LayerRange layers_of_stage(std::int32_t layers, std::int32_t stages, std::int32_t stage) noexcept {
  const std::int32_t each = layers / stages;
  const std::int32_t more = layers % stages;
  const std::int32_t first = stage * each + std::min(stage, more);
  return {.first = first, .last = first + each + (stage < more ? 1 : 0)};
}

Result<Plan> make_plan(const Config& config, const ModelShape& shape, const Inventory& inventory,
                       const Unusable& unusable) {
  Refusals refusals;
  if (inventory.nodes.empty()) refusals.add("the executor knows no node to place ranks on");
  check_sizes(config, shape, refusals);
  if (!refusals.none()) return fail(ErrorCode::invalid_argument, refusals.text());

  Plan plan;
  plan.data = config.parallel.data;
  plan.pipeline = config.parallel.pipeline;
  plan.tensor = config.parallel.tensor;
  plan.distribution = config.batch.distribution;
  make_ranks(config, shape, inventory, plan);
  const Spread spread = spread_of(plan);
  PluginNames names = resolve_plugins(config, spread, unusable);
  if (names.communicator == "shm" && spread.replicas)
    refusals.add("communicator.plugin = shm joins ranks of one machine, but {}; choose gloo, or auto", spread.where);
  if (names.control == "shm" && (spread.replicas || spread.leaders))
    refusals.add("communicator.control = shm joins ranks of one machine, but {}; choose gloo, or auto", spread.where);
  plan.communicator = std::move(names.communicator);
  plan.control = std::move(names.control);
  plan.device = std::move(names.device);
  plan.reasons = std::move(names.reasons);
  plan.warnings = std::move(names.warnings);
  for (const Node& node : inventory.nodes) {
    std::vector<RankPlan*> ranks;
    for (ReplicaPlan& replica : plan.replicas)
      for (RankPlan& rank : replica.ranks)
        if (rank.node == node.name) ranks.push_back(&rank);
    share_cores(config, node, ranks, plan, refusals);
    give_kv_memory(config, node, ranks, refusals);
    check_devices(config, plan, node, ranks.size(), refusals);
    if (!ranks.empty()) check_head_is_reached(config, node, refusals);
  }
  if (!refusals.none()) return fail(ErrorCode::invalid_argument, refusals.text());
  return plan;
}

}  // namespace weft
