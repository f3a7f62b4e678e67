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
