#include "core/cluster/guarded_executor.h"

#include "core/telemetry/log.h"

namespace weft {

Result<Inventory> GuardedExecutor::inventory(Deadline deadline) {
  return calls_.make("inventory", [&] { return executor_.inventory(deadline); });
}

Status GuardedExecutor::launch(const GangSpec& spec, GangSink& sink) {
  return brief_.make("launch", [&] { return executor_.launch(spec, sink); });
}

Status GuardedExecutor::stop(const GangId& gang, Duration grace) {
  return brief_.make("stop", [&] { return executor_.stop(gang, grace); });
}

Status GuardedExecutor::close() {
  return calls_.make("close", [&] { return executor_.close(); });
}

void* GuardedExecutor::query(std::string_view id) {
  const auto found = brief_.make("query", [&]() -> Result<void*> { return executor_.query(id); });
  if (!found) log::error("cluster", "{}; it does without '{}'", found.error().message, id);
  if (!found || *found == nullptr) return nullptr;
  return id == interface_id ? static_cast<ExecutorLogTail*>(this) : *found;
}

Result<std::string> GuardedExecutor::log_tail(const GangId& gang, std::int32_t rank, std::int32_t lines,
                                              Deadline deadline) {
  return calls_.make("log_tail", [&]() -> Result<std::string> {
    auto* tails = static_cast<ExecutorLogTail*>(executor_.query(ExecutorLogTail::interface_id));
    if (tails == nullptr) return fail(ErrorCode::not_found, "it no longer keeps logs");
    return tails->log_tail(gang, rank, lines, deadline);
  });
}

}  // namespace weft
