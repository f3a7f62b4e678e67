// A plugin's balancer as its host calls it: what it throws becomes an error that names the plugin, and other threads may
// ask which call it has not come back from. A host hands the router this one instead of the plugin's own object.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "weft/load_balancer.h"

namespace weft {

class GuardedBalancer final : public LoadBalancer {
 public:
  // A call that has not come back.
  struct Call {
    const char* function = nullptr;  // "pick" or "observe"
    Time since{};
  };

  // `plugin` is what messages call it: "load_balancer/least_loaded". The balancer outlives this object.
  GuardedBalancer(LoadBalancer& balancer, std::string plugin) : balancer_(balancer), plugin_(std::move(plugin)) {}

  // As the balancer's, on the router's thread. internal: it threw.
  Result<Decision> pick(const RequestView& request, const ReplicaTable& replicas, Time now) override;
  // What it throws is logged, the first time only: an observation lost makes picks worse, not wrong.
  void observe(const Event& event, Time now) override;
  void* query(std::string_view interface_id) override { return balancer_.query(interface_id); }

  // Any thread, also while the process ends inside the call. Of a call that ends just now `since` may be the next one's.
  std::optional<Call> call() const noexcept;
  const std::string& plugin() const noexcept { return plugin_; }

 private:
  LoadBalancer& balancer_;
  const std::string plugin_;
  bool told_ = false;  // that observe throws; the router's thread alone
  std::atomic<const char*> function_{nullptr};
  std::atomic<Time> since_{Time{}};
};

}  // namespace weft
