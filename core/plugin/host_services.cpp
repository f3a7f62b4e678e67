#include "core/plugin/host_services.h"

#include <utility>

#include "core/telemetry/log.h"

namespace weft {

PluginHostServices::PluginHostServices(HostServicesSpec spec)
    : spec_(std::move(spec)), labels_{{"plugin", spec_.plugin}} {}

void PluginHostServices::log(LogLevel level, std::string_view message) noexcept {
  log::write(level, spec_.plugin, message);
}

bool PluginHostServices::log_enabled(LogLevel level) const noexcept { return log::enabled(level); }

Time PluginHostServices::now() const noexcept { return Clock::now(); }

void PluginHostServices::counter_add(std::string_view name, double value) noexcept {
  if (spec_.metrics != nullptr) spec_.metrics->counter(name, labels_).add(value);
}

void PluginHostServices::gauge_set(std::string_view name, double value) noexcept {
  if (spec_.metrics != nullptr) spec_.metrics->gauge(name, labels_).set(value);
}

void PluginHostServices::observe(std::string_view name, double value) noexcept {
  if (spec_.metrics != nullptr) spec_.metrics->histogram(name, labels_).observe(value);
}

StoreClient* PluginHostServices::store() noexcept { return spec_.store; }

std::span<const int> PluginHostServices::cpus() const noexcept { return spec_.cpus; }

void* PluginHostServices::query(std::string_view) noexcept { return nullptr; }

}  // namespace weft
