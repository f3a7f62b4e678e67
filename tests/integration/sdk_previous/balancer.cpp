// Each request to the eligible replica with the fewest in flight.
#include <weft/load_balancer.h>
#include <weft/plugin.h>

#include <memory>
#include <string>

namespace {

class Previous final : public weft::LoadBalancer {
 public:
  weft::Result<weft::Decision> pick(const weft::RequestView&, const weft::ReplicaTable& table, weft::Time) override {
    const weft::ReplicaView* best = nullptr;
    for (const weft::ReplicaView& replica : table.replicas)
      if (replica.eligible && (best == nullptr || replica.in_flight < best->in_flight)) best = &replica;
    if (best == nullptr) return weft::fail(weft::ErrorCode::unavailable, "no replica is eligible", true);
    return weft::Decision{.replica = best->id, .reason = std::to_string(best->in_flight) + " in flight"};
  }
  void observe(const weft::Event&, weft::Time) override {}
  void* query(std::string_view) override { return nullptr; }
};

weft::Result<std::unique_ptr<weft::LoadBalancer>> create(const weft::PluginOptions&, weft::HostServices&) {
  return std::make_unique<Previous>();
}

}  // namespace

WEFT_PLUGIN(weft::LoadBalancer, {.name = "previous",
                                 .version = "0.1.0",
                                 .summary = "the fewest requests in flight, built from the previous SDK",
                                 .create = &create})
