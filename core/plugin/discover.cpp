#include <algorithm>
#include <filesystem>
#include <set>

#include "core/plugin/plugin_host.h"
#include "core/plugin/probe_child.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

// Names of the files that look like plugins, sorted.
std::vector<std::string> candidates(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (name.starts_with("libweft-") && name.ends_with(".so")) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::vector<DiscoveredPlugin> PluginHost::discover(const DiscoverOptions& options) const {
  std::vector<DiscoveredPlugin> rows;
  std::set<std::string> seen;
  for (const SearchDirectory& directory : options_.search_path.directories) {
    for (const std::string& name : candidates(directory.path)) {
      if (!options.only.empty() && name != options.only) continue;
      DiscoveredPlugin row;
      row.file = directory.path + "/" + name;
      row.origin = directory.origin;
      row.shadowed = !seen.insert(name).second;
      const StageRun run{.file = row.file, .strict = options_.strict, .probe = true, .create = options.create};
      check_in_child(run, Deadline::in(options.limit), row);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace weft
