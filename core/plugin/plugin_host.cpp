#include "core/plugin/plugin_host.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "core/plugin/crash_note.h"
#include "core/plugin/file_policy.h"
#include "core/plugin/kinds.h"
#include "core/plugin/probe_child.h"
#include "core/plugin/stages.h"
#include "core/plugin/suggest.h"
#include "core/telemetry/log.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Refusal> no_file(ErrorCode code, std::string message) {
  return tl::unexpected<Refusal>(Refusal{std::nullopt, {code, std::move(message)}});
}

// The names of the kind's plugins in the directories, for "there are: ...".
std::vector<std::string> names_there(const SearchPath& path, const std::string& kind) {
  std::vector<std::string> names;
  const std::string prefix = "libweft-" + kind + "-";
  for (const SearchDirectory& directory : path.directories) {
    std::error_code error;
    for (fs::directory_iterator entry(directory.path, error), end; !error && entry != end; entry.increment(error)) {
      const std::string file = entry->path().filename().string();
      if (file.size() > prefix.size() + 3 && file.starts_with(prefix) && file.ends_with(".so"))
        names.push_back(file.substr(prefix.size(), file.size() - prefix.size() - 3));
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

tl::expected<void, Refusal> check_request(const PluginRequest& request) {
  if (find_kind(request.kind) == nullptr)
    return no_file(ErrorCode::invalid_argument, fmt::format("unknown kind of plugin '{}'; there are {}", request.kind,
                                                            fmt::join(kind_names(), ", ")));
  if (request.name.empty() ? request.path.empty() : !is_plugin_name(request.name))
    return no_file(ErrorCode::invalid_argument,
                   fmt::format("'{}' cannot be a {} plugin's name; expected a-z, 0-9 and _, or `path =`", request.name,
                               request.kind));
  if (!request.path.empty() && request.path.front() != '/')
    return no_file(ErrorCode::invalid_argument, fmt::format("the plugin's path '{}' is not absolute", request.path));
  if (!request.sha256.empty() && !is_sha256(request.sha256))
    return no_file(ErrorCode::invalid_argument,
                   fmt::format("sha256 = '{}' is not 64 hexadecimal digits", request.sha256));
  return {};
}

std::string label(const PluginRequest& request) {
  return request.name.empty() ? request.kind + " plugin" : "plugin " + request.kind + "/" + request.name;
}

}  // namespace

bool LoadedPlugin::has(std::string_view capability) const noexcept {
  return std::find(info.capabilities.begin(), info.capabilities.end(), capability) != info.capabilities.end();
}

PluginHost::PluginHost(Options options) : options_(std::move(options)) {
  for (const std::string& warning : options_.search_path.warnings)
    log::warn("plugin", "{}", warning);
}

PluginHost::~PluginHost() = default;

tl::expected<std::string, Refusal> PluginHost::find(const PluginRequest& request) const {
  std::error_code error;
  if (!request.path.empty()) {
    if (fs::exists(request.path, error)) return request.path;
    return no_file(ErrorCode::not_found, fmt::format("there is no file {}", request.path));
  }
  std::vector<std::string> looked;
  for (const SearchDirectory& directory : options_.search_path.directories) {
    std::string file = directory.path + "/" + plugin_file_name(request.kind, request.name);
    if (fs::exists(fs::symlink_status(file, error))) return file;
    looked.push_back(fmt::format("{} ({})", directory.path, directory.origin));
  }
  const std::vector<std::string> there = names_there(options_.search_path, request.kind);
  return no_file(ErrorCode::not_found,
                 fmt::format("no {} in {}{}; found there: {}; add a directory with --plugin-dir or WEFT_PLUGIN_PATH",
                             plugin_file_name(request.kind, request.name),
                             looked.empty() ? "any directory" : fmt::format("{}", fmt::join(looked, ", ")),
                             did_you_mean(request.name, there),
                             there.empty() ? "no such plugin" : fmt::format("{}", fmt::join(there, ", "))));
}

tl::expected<const LoadedPlugin*, Refusal> PluginHost::load_file(const PluginRequest& request,
                                                                 const std::string& file) {
  std::error_code error;
  const std::string canonical = fs::canonical(file, error).string();
  const auto known = loaded_.find(canonical);
  if (known != loaded_.end()) {
    const LoadedPlugin& plugin = *known->second;
    const PluginInfo& info = plugin.info;
    if (info.kind != request.kind || (!request.name.empty() && request.name != info.name))
      return tl::unexpected<Refusal>(
          Refusal{Stage::name, {ErrorCode::refused, fmt::format("{}: stage 'name': it is {}", file, plugin.id())}});
    if (!request.sha256.empty() && !same_sha256(request.sha256, info.sha256))
      return tl::unexpected<Refusal>(Refusal{
          Stage::file_policy,
          {ErrorCode::refused, fmt::format("{}: stage 'file policy': its SHA-256 is {}, the configuration pins {}",
                                           file, info.sha256, request.sha256)}});
    if (request.probe)
      if (auto probed = run_probe(*plugin.descriptor, file); !probed) return tl::unexpected<Refusal>(probed.error());
    return &plugin;
  }
  auto fresh = std::make_unique<LoadedPlugin>();
  const StageRun run{.file = file,
                     .kind = request.kind,
                     .name = request.name,
                     .sha256 = request.sha256,
                     .strict = options_.strict,
                     .probe = request.probe,
                     .at = [&](Stage stage) { log::trace("plugin", "{}: stage '{}'", file, to_string(stage)); }};
  if (options_.child_limit.count() > 0) {
    DiscoveredPlugin row;
    check_in_child(run, Deadline::in(options_.child_limit), row);
    if (row.refusal) return tl::unexpected<Refusal>(*std::move(row.refusal));
  }
  auto descriptor = run_stages(run, fresh->info);
  if (!descriptor) return tl::unexpected<Refusal>(std::move(descriptor).error());
  fresh->descriptor = *descriptor;
  for (const std::string& warning : fresh->info.warnings)
    log::warn("plugin", "{}: {}", file, warning);
  log::debug("plugin", "loaded {} {} from {} (sha256 {})", fresh->id(), fresh->info.version, fresh->info.file,
             fresh->info.sha256);
  return loaded_.emplace(fresh->info.file, std::move(fresh)).first->second.get();
}

tl::expected<const LoadedPlugin*, Refusal> PluginHost::try_load(const PluginRequest& request) {
  const auto named = [&request](Refusal refusal) {
    refusal.error = annotate(std::move(refusal.error), label(request));
    return tl::unexpected<Refusal>(std::move(refusal));
  };
  if (auto checked = check_request(request); !checked) return named(checked.error());
  auto file = find(request);
  if (!file) return named(file.error());
  const std::lock_guard lock(mutex_);
  auto loaded = load_file(request, *file);
  if (!loaded) return named(loaded.error());
  return *loaded;
}

Result<const LoadedPlugin*> PluginHost::load(const PluginRequest& request) {
  auto loaded = try_load(request);
  if (!loaded) return fail(std::move(loaded).error().error);
  return *loaded;
}

Status PluginHost::rehearse(const LoadedPlugin& plugin, const PluginOptions& options) const {
  if (options_.child_limit.count() <= 0) return {};
  WEFT_TRY(ask(plugin, options, nullptr));
  return {};
}

Result<std::string> PluginHost::ask(const LoadedPlugin& plugin, const PluginOptions& options,
                                    const Question& question) const {
  const StageRun run{.file = plugin.info.file,
                     .kind = plugin.info.kind,
                     .name = plugin.info.name,
                     .sha256 = plugin.info.sha256,
                     .strict = options_.strict,
                     .probe = false,  // load() has
                     .at = [](Stage) {},
                     .create = true,
                     .options = &options,
                     .question = question};
  DiscoveredPlugin row;
  row.info = plugin.info;
  if (options_.child_limit.count() > 0)
    check_in_child(run, Deadline::in(options_.child_limit), row);
  else if (auto created = run_create(*plugin.descriptor, run, row); !created)
    row.refusal = created.error();
  if (!row.refusal) return std::move(row.answer);
  Error error = std::move(row.refusal->error);
  const std::string name = "plugin " + plugin.id();
  return fail(error.message.starts_with(name) ? std::move(error) : annotate(std::move(error), name));
}

namespace plugin_detail {

Result<void*> create_object(const LoadedPlugin& plugin, std::string_view kind, const PluginOptions& options,
                            HostServices& host) {
  if (plugin.info.kind != kind)
    return fail(ErrorCode::failed_precondition, fmt::format("plugin {} was asked for a {}", plugin.id(), kind));
  const std::string where = fmt::format("plugin {}: {}: stage 'create'", plugin.id(), plugin.info.file);
  Error error{ErrorCode::internal, "", false};
  const CrashNote note(where);
  try {
    if (void* const object = plugin.descriptor->create(&options, &host, &error)) return object;
  } catch (...) {
    error = from_exception();
  }
  if (error.message.empty()) error.message = "it made no object and gave no reason";
  return fail(annotate(std::move(error), where));
}

void destroy_object(const LoadedPlugin& plugin, void* object) noexcept {
  try {
    plugin.descriptor->destroy(object);
  } catch (...) {
    log::error("plugin", "{}: destroy threw an exception, which the contract forbids", plugin.id());
  }
}

}  // namespace plugin_detail
}  // namespace weft
