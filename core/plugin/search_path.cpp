#include "core/plugin/search_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace weft {
namespace {

namespace fs = std::filesystem;

void add(SearchPath& path, const fs::path& directory, std::string_view origin) {
  std::string normal = directory.lexically_normal().string();
  if (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  const bool known = std::any_of(path.directories.begin(), path.directories.end(),
                                 [&](const SearchDirectory& other) { return other.path == normal; });
  if (!known) path.directories.push_back({.path = std::move(normal), .origin = std::string(origin)});
}

void add_environment(SearchPath& path, std::string_view list) {
  while (!list.empty()) {
    const std::size_t colon = list.find(':');
    const std::string_view entry = list.substr(0, colon);
    list = colon == std::string_view::npos ? std::string_view() : list.substr(colon + 1);
    if (entry.empty()) continue;
    if (entry.front() == '/')
      add(path, entry, "WEFT_PLUGIN_PATH");
    else
      path.warnings.push_back(
          fmt::format("WEFT_PLUGIN_PATH: '{}' is left out: it is relative, and plugins are never looked for "
                      "in the current "
                      "directory; write an absolute path",
                      entry));
  }
}

}  // namespace

SearchPath SearchPath::standard(const std::vector<std::string>& plugin_dirs) {
  SearchPath path;
  std::error_code error;
  for (const std::string& directory : plugin_dirs) {
    const fs::path absolute = fs::absolute(directory, error);
    if (directory.empty() || error)
      path.warnings.push_back(fmt::format("--plugin-dir '{}' is left out: it is no path", directory));
    else
      add(path, absolute, "--plugin-dir");
  }
  if (const char* list = std::getenv("WEFT_PLUGIN_PATH")) add_environment(path, list);
  const fs::path executable = fs::read_symlink("/proc/self/exe", error);
  if (!error) add(path, executable.parent_path().parent_path() / "lib/weft/plugins", "installed with weft");
  return path;
}

std::string plugin_file_name(std::string_view kind, std::string_view name) {
  return fmt::format("libweft-{}-{}.so", kind, name);
}

bool is_plugin_name(std::string_view text) noexcept {
  if (text.empty() || text.size() > 64 || text.front() < 'a' || text.front() > 'z') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace weft
