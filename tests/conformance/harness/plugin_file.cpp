#include "tests/conformance/harness/plugin_file.h"

#include <fmt/format.h>

#include <filesystem>

#include "core/plugin/kinds.h"
#include "core/plugin/probe_child.h"
#include "core/plugin/search_path.h"

namespace weft::conformance {

namespace fs = std::filesystem;

std::optional<PluginName> name_of_file(std::string_view file) {
  const std::string name = fs::path(file).filename().string();
  for (const std::string& kind : kind_names()) {
    const std::string front = "libweft-" + kind + "-";
    if (name.size() > front.size() + 3 && name.starts_with(front) && name.ends_with(".so"))
      return PluginName{kind, name.substr(front.size(), name.size() - front.size() - 3)};
  }
  return std::nullopt;
}

Result<std::string> find_plugin(const std::string& text, const std::vector<std::string>& plugin_dirs) {
  std::error_code error;
  if (fs::is_regular_file(text, error)) {
    const fs::path real = fs::canonical(text, error);
    if (!name_of_file(real.string()))
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{}: a plugin's file is called libweft-KIND-NAME.so", real.string()));
    return real.string();
  }
  const std::size_t slash = text.find('/');
  if (fs::exists(text, error))
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {}; expected a shared library libweft-KIND-NAME.so", text,
                            fs::is_directory(text, error) ? "a directory" : "not a regular file"));
  if (slash == std::string::npos || find_kind(text.substr(0, slash)) == nullptr)
    return fail(ErrorCode::not_found, fmt::format("'{}' is neither a file nor kind/name", text));
  const std::string file = plugin_file_name(text.substr(0, slash), text.substr(slash + 1));
  std::string looked;
  for (const SearchDirectory& directory : SearchPath::standard(plugin_dirs).directories) {
    const fs::path path = fs::path(directory.path) / file;
    if (fs::is_regular_file(path, error)) return fs::canonical(path, error).string();
    looked += (looked.empty() ? "" : ", ") + directory.path;
  }
  return fail(ErrorCode::not_found, fmt::format("no {} in {}; name a directory with --plugin-dir", file, looked));
}

namespace {

DiscoveredPlugin look_at(const std::string& file, double time_scale, const PluginOptions* options) {
  DiscoveredPlugin row;
  row.file = file;
  const auto named = name_of_file(file);
  const StageRun run{.file = file,
                     .kind = named ? named->kind : "",
                     .name = named ? named->name : "",
                     .sha256 = {},
                     .strict = false,
                     .probe = true,
                     .at = [](Stage) {},
                     .create = options != nullptr,
                     .options = options};
  check_in_child(run, Deadline::in(std::chrono::milliseconds(static_cast<long>(20'000 * time_scale))), row);
  return row;
}

}  // namespace

DiscoveredPlugin inspect_plugin(const std::string& file, double time_scale) {
  return look_at(file, time_scale, nullptr);
}

DiscoveredPlugin rehearse_plugin(const std::string& file, double time_scale, const PluginOptions& options) {
  return look_at(file, time_scale, &options);
}

}  // namespace weft::conformance
