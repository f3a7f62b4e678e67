// What plugins of this process get as their HostServices: log lines under the plugin's kind/name, metrics
// with a label plugin="kind/name", the store's client and the CPUs of the rank.
#pragma once

#include <string>
#include <vector>

#include "core/telemetry/metrics.h"
#include "weft/host.h"

namespace weft {

struct HostServicesSpec {
  std::string plugin;            // "executor/mp"
  Metrics* metrics = nullptr;    // outlives the services; null: figures are dropped
  StoreClient* store = nullptr;  // outlives the services; may be null
  std::vector<int> cpus;         // empty: no restriction
};

// Any thread. Outlives every object of its plugin: keep it beside the PluginHandle, declared before it.
class PluginHostServices final : public HostServices {
 public:
  explicit PluginHostServices(HostServicesSpec spec);

  void log(LogLevel level, std::string_view message) noexcept override;
  bool log_enabled(LogLevel level) const noexcept override;
  Time now() const noexcept override;
  void counter_add(std::string_view name, double value) noexcept override;
  void gauge_set(std::string_view name, double value) noexcept override;
  void observe(std::string_view name, double value) noexcept override;
  StoreClient* store() noexcept override;
  std::span<const int> cpus() const noexcept override;
  void* query(std::string_view interface_id) noexcept override;

 private:
  const HostServicesSpec spec_;
  const MetricLabels labels_;
};

}  // namespace weft
