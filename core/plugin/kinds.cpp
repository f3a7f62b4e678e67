#include "core/plugin/kinds.h"

#include "weft/communicator.h"
#include "weft/device.h"
#include "weft/executor.h"
#include "weft/load_balancer.h"

namespace weft {

const std::vector<PluginKind>& plugin_kinds() {
  static const std::vector<PluginKind> kinds{
      {.name = Executor::plugin_kind,
       .interface_version = Executor::interface_version,
       .capabilities = {"log_tails", "node_drain", "outlives_head", "several_nodes"}},
      {.name = Communicator::plugin_kind,
       .interface_version = Communicator::interface_version,
       .capabilities = {"rank_ordered_sums", "several_nodes", "device_memory"}},
      {.name = LoadBalancer::plugin_kind,
       .interface_version = LoadBalancer::interface_version,
       .capabilities = {"prefix_affinity", "session_affinity"}},
      {.name = Device::plugin_kind,
       .interface_version = Device::interface_version,
       .capabilities = {"batch_invariant", "f32", "bf16", "f16", "int8", "int4", "graphs", "experts", "sampling"}},
  };
  return kinds;
}

const PluginKind* find_kind(std::string_view name) {
  for (const PluginKind& kind : plugin_kinds())
    if (kind.name == name) return &kind;
  return nullptr;
}

std::vector<std::string> kind_names() {
  std::vector<std::string> names;
  for (const PluginKind& kind : plugin_kinds())
    names.push_back(kind.name);
  return names;
}

}  // namespace weft
