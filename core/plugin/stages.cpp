#include "core/plugin/stages.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/dll/shared_library.hpp>
#include <filesystem>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/plugin/crash_note.h"
#include "core/plugin/elf.h"
#include "core/plugin/file_policy.h"
#include "core/plugin/host_services.h"
#include "core/plugin/plugin_calls.h"

namespace weft {
namespace {

using Checked = tl::expected<void, Refusal>;

// "<file>: stage 'abi': ..."
tl::unexpected<Refusal> refuse(Stage stage, const std::string& file, const Error& error) {
  return tl::unexpected<Refusal>(Refusal{
      stage, {error.code, fmt::format("{}: stage '{}': {}", file, to_string(stage), error.message), error.retryable}});
}

// The digest, held against the pin if there is one.
Status check_digest(const PluginFile& file, std::string_view pin, PluginInfo& info) {
  WEFT_ASSIGN(digest, file.sha256());
  info.sha256 = digest;
  if (pin.empty() || same_sha256(pin, digest)) return {};
  return fail(
      ErrorCode::refused,
      fmt::format("its SHA-256 is {}, the configuration pins {}; it is another build: check where it comes from, "
                  "then change sha256",
                  digest, pin));
}

// Keeps a library loaded for the rest of the process's life, because what a plugin leaves behind (threads, static
// destructors, vtables of objects) does not survive unloading.
void keep_for_ever(std::unique_ptr<boost::dll::shared_library> library) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<boost::dll::shared_library>>();
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(library));
}

// Of the failure that has just been in this thread.
std::string linker_refusal(const std::string& path) {
  const char* const words = ::dlerror();
  std::string said = words == nullptr ? "it does not say why" : words;
  if (said.starts_with(path + ": ")) said.erase(0, path.size() + 2);  // the refusal names the file already
  return fmt::format("the dynamic linker does not take it: {}; link it with the libraries it needs", said);
}

Result<weft_plugin_function> open_library(const std::string& path) {
  namespace dll = boost::dll;
  try {
    auto library = std::make_unique<dll::shared_library>();
    boost::dll::fs::error_code failed;
    library->load(path, static_cast<dll::load_mode::type>(dll::load_mode::rtld_now | dll::load_mode::rtld_local),
                  failed);
    if (failed) return fail(ErrorCode::refused, linker_refusal(path));
    const weft_plugin_function function = &library->get<const weft_plugin_descriptor*()>(plugin_symbol);
    keep_for_ever(std::move(library));
    return function;
  } catch (...) {
    return fail(ErrorCode::refused, fmt::format("its symbol '{}' cannot be taken: {}", plugin_symbol, caught()));
  }
}

Result<const weft_plugin_descriptor*> call(weft_plugin_function function) {
  try {
    return function();
  } catch (...) {
    return fail(ErrorCode::refused, fmt::format("weft_plugin() threw an exception: {}", caught()));
  }
}

}  // namespace

tl::expected<void, Refusal> run_probe(const weft_plugin_descriptor& descriptor, const std::string& file) {
  std::array<char, 1024> reason{};
  const CrashNote note(fmt::format("{}: stage 'probe'", file));
  try {
    if (descriptor.probe(reason.data(), reason.size()) == 0) return {};
  } catch (...) {
    return refuse(Stage::probe, file, {ErrorCode::refused, fmt::format("probe threw an exception: {}", caught())});
  }
  reason.back() = '\0';
  const std::string text = reason.front() == '\0' ? "no reason given" : reason.data();
  return refuse(Stage::probe, file, {ErrorCode::refused, fmt::format("it cannot work here: {}", text)});
}

tl::expected<void, Refusal> run_create(const weft_plugin_descriptor& descriptor, const StageRun& run,
                                       DiscoveredPlugin& row) {
  PluginOptions defaults;
  if (run.options == nullptr) {
    for (const OptionDeclaration& option : row.info.options)
      if (!option.default_value) {
        row.create_untried = fmt::format("option '{}' has no default", option.key);
        return {};
      }
    defaults = check_options(row.info.options, {}, "", "").options;
  }
  run.at(Stage::create);
  row.create_untried.clear();
  LoadedPlugin plugin;
  plugin.info = row.info;
  plugin.descriptor = &descriptor;
  PluginHostServices services({.plugin = plugin.id()});
  auto object = plugin_detail::create_object(plugin, plugin.info.kind, run.options == nullptr ? defaults : *run.options,
                                             services);
  if (!object) return tl::unexpected<Refusal>(Refusal{Stage::create, std::move(object).error()});
  Status asked;
  try {
    if (run.question) row.answer = run.question(*object);
  } catch (...) {
    asked = fail(ErrorCode::internal, fmt::format("the object that it made threw an exception: {}", caught()));
  }
  plugin_detail::destroy_object(plugin, *object);
  if (!asked) return refuse(Stage::create, run.file, asked.error());
  row.created = true;
  return {};
}

tl::expected<const weft_plugin_descriptor*, Refusal> run_stages(const StageRun& run, PluginInfo& info) {
  info.file = run.file;
  run.at(Stage::file_policy);
  auto opened = PluginFile::open(run.file, run.strict);
  if (!opened) return refuse(Stage::file_policy, run.file, opened.error());
  info.file = opened->path();
  info.warnings = opened->warnings();
  const auto digest = [&]() -> Checked {
    if (Status taken = check_digest(*opened, run.sha256, info); !taken)
      return refuse(Stage::file_policy, run.file, taken.error());
    return {};
  };
  // A pin comes before anything is read out of the file. Without one a file is digested only once it looks like a plugin:
  // what merely has a plugin's name may be endless.
  if (!run.sha256.empty())
    if (Checked pinned = digest(); !pinned) return tl::unexpected<Refusal>(pinned.error());

  run.at(Stage::symbol);
  if (Status exported = check_exports(*opened, plugin_symbol); !exported)
    return refuse(Stage::symbol, run.file, exported.error());
  if (run.sha256.empty())
    if (Checked taken = digest(); !taken) return tl::unexpected<Refusal>(taken.error());

  run.at(Stage::dlopen);
  auto function = open_library(opened->path());
  if (!function) return refuse(Stage::dlopen, run.file, function.error());

  run.at(Stage::size);
  auto descriptor = call(*function);
  if (!descriptor) return refuse(Stage::size, run.file, descriptor.error());
  const ExpectedName expected{
      .kind = run.kind, .name = run.name, .file_name = std::filesystem::path(run.file).filename().string()};
  if (Checked checked = check_descriptor(*descriptor, expected, run.at, info); !checked)
    return refuse(*checked.error().stage, run.file, checked.error().error);

  if (!run.probe) return *descriptor;
  run.at(Stage::probe);
  if (Checked probed = run_probe(**descriptor, run.file); !probed) return tl::unexpected<Refusal>(probed.error());
  return *descriptor;
}

}  // namespace weft
