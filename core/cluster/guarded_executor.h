// A plugin's executor as its host calls it: what it throws becomes an error that names the plugin. A host hands the cluster
// this one instead of the plugin's own object.
#pragma once

#include <string>
#include <utility>

#include "core/plugin/plugin_calls.h"
#include "weft/executor.h"
#include "weft/executor_log_tail.h"

namespace weft {

class GuardedExecutor final : public Executor, private ExecutorLogTail {
 public:
  // Of launch, stop and query, which return at once.
  static constexpr Duration call_limit = std::chrono::seconds(3);

  // `plugin` is what messages call it: "executor/mp". The executor outlives this object.
  GuardedExecutor(Executor& executor, std::string plugin)
      : executor_(executor), calls_(plugin, Duration::max()), brief_(std::move(plugin), call_limit) {}

  // As the executor's. internal: it threw.
  Result<Inventory> inventory(Deadline deadline) override;
  Status launch(const GangSpec& spec, GangSink& sink) override;
  Status stop(const GangId& gang, Duration grace) override;
  Status close() override;
  // Log tails come guarded too; every other optional interface is the plugin's own.
  void* query(std::string_view id) override;

 private:
  Result<std::string> log_tail(const GangId& gang, std::int32_t rank, std::int32_t lines, Deadline deadline) override;

  Executor& executor_;
  const PluginCalls calls_;
  const PluginCalls brief_;
};

}  // namespace weft
