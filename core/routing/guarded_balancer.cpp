#include "core/routing/guarded_balancer.h"

#include <fmt/format.h>

#include <exception>

#include "core/telemetry/log.h"

namespace weft {
namespace {

// Marks a call as running for as long as it lives. A process that ends within the call never takes the mark away.
class Mark {
 public:
  Mark(std::atomic<const char*>& function, std::atomic<Time>& since, const char* name) : function_(function) {
    since.store(Clock::now());
    function_.store(name);
  }
  ~Mark() { function_.store(nullptr); }
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;

 private:
  std::atomic<const char*>& function_;
};

// Of the exception that is being handled. Call it inside a catch.
std::string what_was_thrown() {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

}  // namespace

Result<Decision> GuardedBalancer::pick(const RequestView& request, const ReplicaTable& replicas, Time now) {
  const Mark mark(function_, since_, "pick");
  try {
    return balancer_.pick(request, replicas, now);
  } catch (...) {
    return fail(ErrorCode::internal, fmt::format("plugin {}: pick threw: {}", plugin_, what_was_thrown()));
  }
}

void GuardedBalancer::observe(const Event& event, Time now) {
  const Mark mark(function_, since_, "observe");
  try {
    balancer_.observe(event, now);
  } catch (...) {
    if (std::exchange(told_, true)) return;
    log::error("router", "plugin {}: observe threw: {}; it goes on without that event (said once)", plugin_,
               what_was_thrown());
  }
}

std::optional<GuardedBalancer::Call> GuardedBalancer::call() const noexcept {
  const char* function = function_.load();
  if (function == nullptr) return std::nullopt;
  return Call{.function = function, .since = since_.load()};
}

}  // namespace weft
