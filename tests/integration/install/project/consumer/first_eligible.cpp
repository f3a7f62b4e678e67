// The smallest load balancer: the first replica that may take the request.
#include <weft/communicator.h>
#include <weft/device.h>
#include <weft/executor.h>
#include <weft/load_balancer.h>
#include <weft/plugin.h>

#include <memory>

namespace {

class FirstEligible final : public weft::LoadBalancer {
 public:
  weft::Result<weft::Decision> pick(const weft::RequestView&, const weft::ReplicaTable& table, weft::Time) override {
    for (const weft::ReplicaView& replica : table.replicas)
      if (replica.eligible) return weft::Decision{.replica = replica.id, .reason = "first"};
    return weft::fail(weft::ErrorCode::unavailable, "no replica may take a request", true);
  }
  void observe(const weft::Event&, weft::Time) override {}
  void* query(std::string_view) override { return nullptr; }
};

weft::Result<std::unique_ptr<weft::LoadBalancer>> create(const weft::PluginOptions&, weft::HostServices&) {
  return std::make_unique<FirstEligible>();
}

}  // namespace

WEFT_PLUGIN(weft::LoadBalancer, {.name = "first_eligible",
                                 .version = "1.0.0",
                                 .summary = "gives every request to the first replica that may take it",
                                 .create = &create})
