// A plugin's balancer as its host calls it: what it throws becomes an error that names the plugin. A host hands the router
// this one instead of the plugin's own object.
#pragma once

#include <string>
#include <utility>

#include "core/plugin/plugin_calls.h"
#include "weft/load_balancer.h"

namespace weft {

class GuardedBalancer final : public LoadBalancer {
 public:
  // A call takes microseconds.
  static constexpr Duration call_limit = std::chrono::seconds(3);

  // `plugin` is what messages call it: "load_balancer/least_loaded". The balancer outlives this object.
  GuardedBalancer(LoadBalancer& balancer, std::string plugin)
      : balancer_(balancer), calls_(std::move(plugin), call_limit) {}

  // As the balancer's, on the router's thread. internal: it threw.
  Result<Decision> pick(const RequestView& request, const ReplicaTable& replicas, Time now) override;
  // What it throws is logged, the first time only: an observation lost makes picks worse, not wrong.
  void observe(const Event& event, Time now) override;
  void* query(std::string_view interface_id) override { return balancer_.query(interface_id); }

 private:
  LoadBalancer& balancer_;
  const PluginCalls calls_;
  bool told_ = false;  // that observe throws; the router's thread alone
};

}  // namespace weft
