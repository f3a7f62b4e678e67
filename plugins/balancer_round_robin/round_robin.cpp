// round_robin: the next eligible replica by id. Blind to cost on purpose: the baseline of every other
// balancer.
#include <weft/load_balancer.h>
#include <weft/plugin.h>

#include <memory>
#include <string>

namespace {

using weft::Decision;
using weft::ReplicaId;
using weft::ReplicaView;

class RoundRobin final : public weft::LoadBalancer {
 public:
  weft::Result<Decision> pick(const weft::RequestView&, const weft::ReplicaTable& table, weft::Time) override {
    // By id and not by row: replicas that join or leave shift rows, and must not make one be skipped.
    const ReplicaView* first = nullptr;
    const ReplicaView* next = nullptr;
    for (const ReplicaView& replica : table.replicas) {
      if (!replica.eligible) continue;
      if (first == nullptr || replica.id < first->id) first = &replica;
      if (replica.id > last_ && (next == nullptr || replica.id < next->id)) next = &replica;
    }
    if (next == nullptr) next = first;
    if (next == nullptr)
      return weft::fail(weft::ErrorCode::unavailable,
                        "none of " + std::to_string(table.replicas.size()) + " replicas is eligible", true);
    std::string reason = "next after replica " + std::to_string(last_);
    if (last_ < 0) reason = "the first";
    last_ = next->id;
    return Decision{.replica = next->id, .reason = std::move(reason)};
  }

  void observe(const weft::Event&, weft::Time) override {}
  void* query(std::string_view) override { return nullptr; }

 private:
  ReplicaId last_ = -1;
};

}  // namespace

WEFT_PLUGIN(weft::LoadBalancer,
            {.name = "round_robin",
             .version = "0.1.0",
             .summary = "gives each request to the next eligible replica by id, whatever it costs",
             .create = [](const weft::PluginOptions&, weft::HostServices&)
                 -> weft::Result<std::unique_ptr<weft::LoadBalancer>> { return std::make_unique<RoundRobin>(); }})
