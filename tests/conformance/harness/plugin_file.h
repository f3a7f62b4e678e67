// Which file is under test, and what may be known of it without running it in this process.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/plugin/plugin_host.h"
#include "weft/status.h"

namespace weft::conformance {

struct PluginName {
  std::string kind;
  std::string name;
};

// Of "libweft-executor-mp.so"; nullopt for any other file name.
std::optional<PluginName> name_of_file(std::string_view file);

// `text` is a file, or kind/name to be looked for as weft does. The absolute path; not_found says where it looked.
Result<std::string> find_plugin(const std::string& text, const std::vector<std::string>& plugin_dirs);

// Every stage up to probe, in a child process; the row says what refused it. The caller has no other thread.
DiscoveredPlugin inspect_plugin(const std::string& file, double time_scale);
// The same, and makes an object with these options and gives it back.
DiscoveredPlugin rehearse_plugin(const std::string& file, double time_scale, const PluginOptions& options);

}  // namespace weft::conformance
