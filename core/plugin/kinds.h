// The kinds of plugin that this weft knows, their interface versions and the capabilities that each may
// declare. The one place to add to when an interface gains a capability.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct PluginKind {
  std::string name;
  std::uint32_t interface_version;
  std::vector<std::string> capabilities;
};

// Immutable, made at first use; any thread.
const std::vector<PluginKind>& plugin_kinds();
const PluginKind* find_kind(std::string_view name);  // null: unknown
std::vector<std::string> kind_names();

}  // namespace weft
