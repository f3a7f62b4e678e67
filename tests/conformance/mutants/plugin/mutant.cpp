// A balancer that breaks one rule for every kind of plugin, named by WEFT_MUTANT; unset, it breaks none.
#include <weft/load_balancer.h>
#include <weft/plugin.h>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace {

bool breaks(std::string_view mutant) {
  const char* const name = std::getenv("WEFT_MUTANT");
  return name != nullptr && mutant == name;
}

// The next eligible one by id: enough to pass every rule of balancers.
class InTurn final : public weft::LoadBalancer {
 public:
  weft::Result<weft::Decision> pick(const weft::RequestView&, const weft::ReplicaTable& table, weft::Time) override {
    const weft::ReplicaView* first = nullptr;
    for (const weft::ReplicaView& replica : table.replicas) {
      if (!replica.eligible) continue;
      if (first == nullptr) first = &replica;
      if (replica.id > last_) return decide(replica);
    }
    if (first != nullptr) return decide(*first);
    return weft::fail(weft::ErrorCode::unavailable, "no replica may take a request", true);
  }
  void observe(const weft::Event&, weft::Time) override {}
  void* query(std::string_view) override { return nullptr; }

 private:
  weft::Decision decide(const weft::ReplicaView& replica) {
    last_ = replica.id;
    return {.replica = last_, .reason = "in turn"};
  }

  weft::ReplicaId last_ = -1;
};

weft::Result<std::unique_ptr<weft::LoadBalancer>> create(const weft::PluginOptions&, weft::HostServices&) {
  return std::make_unique<InTurn>();
}

const weft::PluginDefinition<weft::LoadBalancer> definition{
    .name = "mutant", .version = "1.0.0", .summary = "breaks a rule", .create = &create};

}  // namespace

extern "C" __attribute__((visibility("default"))) const weft::weft_plugin_descriptor* weft_plugin() {
  const weft::weft_plugin_descriptor* const right = weft::plugin_detail::descriptor<weft::LoadBalancer, definition>();
  if (!breaks("descriptor_changes")) return right;
  static weft::weft_plugin_descriptor copies[2] = {*right, *right};
  static int calls = 0;
  return &copies[++calls % 2];
}
