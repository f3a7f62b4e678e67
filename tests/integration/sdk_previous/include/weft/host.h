// What a plugin may not make for itself, handed to its create(). Outlives every object the plugin makes.
//
// Threads: every method may be called from any thread. log() and the metrics never block on I/O for long; none of them
// may be called from a signal handler.
#pragma once

#include <span>
#include <string_view>

#include "weft/store_client.h"
#include "weft/time.h"

namespace weft {

enum class LogLevel : int { trace = 0, debug = 1, info = 2, warn = 3, error = 4 };

class HostServices {
 public:
  virtual ~HostServices() = default;

  // One line, without a newline at its end. The host adds time, level and the plugin's kind/name.
  virtual void log(LogLevel level, std::string_view message) noexcept = 0;
  virtual bool log_enabled(LogLevel level) const noexcept = 0;
  // Monotonic. Plugins that decide by time take it as an argument instead (LoadBalancer).
  virtual Time now() const noexcept = 0;
  // Metrics, by Prometheus names without the "weft:" prefix: "comm_bytes_total". Created at first use.
  virtual void counter_add(std::string_view name, double value) noexcept = 0;
  virtual void gauge_set(std::string_view name, double value) noexcept = 0;
  virtual void observe(std::string_view name, double value) noexcept = 0;  // a histogram
  // The store's client; null where there is no store (`weft check`, probes, `weft bench kernels`).
  virtual StoreClient* store() noexcept = 0;
  // Logical CPUs that the plan gave this process. Empty: no restriction. Threads the plugin makes stay inside it.
  virtual std::span<const int> cpus() const noexcept = 0;
  // Optional services, by interface id; null where the host lacks one. The host grows here, never above.
  virtual void* query(std::string_view interface_id) noexcept = 0;
};

}  // namespace weft
