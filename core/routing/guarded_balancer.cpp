#include "core/routing/guarded_balancer.h"

#include "core/telemetry/log.h"

namespace weft {

Result<Decision> GuardedBalancer::pick(const RequestView& request, const ReplicaTable& replicas, Time now) {
  return calls_.make("pick", [&] { return balancer_.pick(request, replicas, now); });
}

void GuardedBalancer::observe(const Event& event, Time now) {
  const Status observed = calls_.make("observe", [&]() -> Status {
    balancer_.observe(event, now);
    return {};
  });
  if (!observed && !std::exchange(told_, true))
    log::error("router", "{}; it goes on without that event (said once)", observed.error().message);
}

}  // namespace weft
