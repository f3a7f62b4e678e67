// PluginHost: the one door through which every backend comes in. It finds a plugin's file, takes it through
// the stages of stage.h, and makes objects of it. A library is never unloaded.
//
//   PluginHost host({.search_path = SearchPath::standard(plugin_dirs)});
//   WEFT_ASSIGN(plugin, host.load({.kind = "executor", .name = "mp"}));
//   const CheckedOptions checked = check_options(plugin->info.options, written, "executor.config",
//   "weft.toml:12:1"); PluginHostServices services({.plugin = plugin->id(), .metrics = &metrics});
//   WEFT_ASSIGN(executor, create_plugin<Executor>(*plugin, checked.options, services));   //
//   PluginHandle<Executor>
//
// Nothing that a plugin throws gets past here. Any thread; loads run one at a time.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/plugin/options.h"
#include "core/plugin/search_path.h"
#include "core/plugin/stage.h"
#include "weft/plugin.h"
#include "weft/status.h"

namespace weft {

// Everything a descriptor says, owned. What `weft plugins inspect` prints and what Hello sends (name and
// sha256).
struct PluginInfo {
  std::string kind;  // "executor", ...
  std::string name;
  std::string version;
  std::string summary;
  std::string file;         // canonical path
  std::string sha256;       // of the file, 64 hexadecimal digits; empty where it is no plugin's and has no pin
  std::string fingerprint;  // of its build
  std::vector<std::string> capabilities;
  std::vector<OptionDeclaration> options;
  std::vector<std::string> warnings;  // "file is group-writable"
};

// A plugin that passed every stage up to probe. Lives as long as its PluginHost.
struct LoadedPlugin {
  PluginInfo info;
  const weft_plugin_descriptor* descriptor = nullptr;

  std::string id() const { return info.kind + "/" + info.name; }
  bool has(std::string_view capability) const noexcept;
};

struct PluginRequest {
  std::string kind;
  std::string name;    // may be empty where `path` is given
  std::string path;    // `path =`, absolute (config resolves it against its file); empty: by name on the search path
  std::string sha256;  // `sha256 =`, 64 hexadecimal digits; empty: not pinned
  bool probe = true;   // false where the plugin is to work on another machine than this one
};

// One file that looks like a plugin, found by discover().
struct DiscoveredPlugin {
  std::string file;
  std::string origin;              // the SearchDirectory's
  bool shadowed = false;           // an earlier directory has a file of this name, which is the one that load() takes
  bool created = false;            // it also made an object and gave it back
  std::string answer;              // of the object, to StageRun::question
  std::string create_untried;      // why it was not asked to: "not asked for", "option 'x' has no default"
  PluginInfo info;                 // what is known; complete when not refused, or refused by probe
  std::optional<Refusal> refusal;  // nullopt: it works here
};

class PluginHost {
 public:
  struct Options {
    SearchPath search_path;
    bool strict = false;  // plugins.strict: group-writable files and directories are refused, not warned about
    // Above zero: load() first takes a file through the stages in a child process, for so long at most, so that one
    // that crashes, exits or hangs is refused like any other. Forks: an error (internal) where other threads live.
    std::chrono::milliseconds child_limit{0};
  };

  explicit PluginHost(Options options);
  ~PluginHost();
  PluginHost(const PluginHost&) = delete;
  PluginHost& operator=(const PluginHost&) = delete;

  // The same file again gives the same LoadedPlugin. not_found lists where it looked and what is there;
  // refused names the stage. Warnings are logged once a file.
  Result<const LoadedPlugin*> load(const PluginRequest& request);
  // The same, with the stage as a value.
  tl::expected<const LoadedPlugin*, Refusal> try_load(const PluginRequest& request);

  // Makes an object in a child process and gives it back there, so that a create that crashes, exits or hangs is an
  // error here; then create_plugin may do the same in this process. Nothing where Options::child_limit is zero. Forks: an
  // error (internal) where other threads live.
  Status rehearse(const LoadedPlugin& plugin, const PluginOptions& options) const;

  // The same, and what `question` makes of the object there: it is called in the child, between create and destroy, and what it
  // returns is this. A text, UTF-8. Where Options::child_limit is zero, in this process.
  using Question = std::function<std::string(void* object)>;
  Result<std::string> ask(const LoadedPlugin& plugin, const PluginOptions& options, const Question& question) const;

  struct DiscoverOptions {
    std::chrono::milliseconds limit = std::chrono::seconds(10);  // of one file
    bool create = false;  // also make an object of each, with the default options, and give it back
    std::string only;     // a file's name, "libweft-executor-mp.so": others are left out; empty: all
  };
  // Every libweft-*.so on the search path, in search order then by name, each taken through the stages in a child
  // process of its own, so that one that crashes, exits or hangs only gives a row. Forks: a row says so where other
  // threads live.
  std::vector<DiscoveredPlugin> discover(const DiscoverOptions& options) const;
  std::vector<DiscoveredPlugin> discover() const { return discover(DiscoverOptions{}); }

 private:
  tl::expected<std::string, Refusal> find(const PluginRequest& request) const;
  tl::expected<const LoadedPlugin*, Refusal> load_file(const PluginRequest& request, const std::string& file);

  const Options options_;
  std::mutex mutex_;                                             // guards loaded_
  std::map<std::string, std::unique_ptr<LoadedPlugin>> loaded_;  // by canonical path
};

namespace plugin_detail {
// The descriptor's create and destroy, with whatever they throw caught.
Result<void*> create_object(const LoadedPlugin& plugin, std::string_view kind, const PluginOptions& options,
                            HostServices& host);
void destroy_object(const LoadedPlugin& plugin, void* object) noexcept;
}  // namespace plugin_detail

// An object of a plugin: a unique_ptr that knows whose it is, and gives the object back to its plugin at its
// end.
template <class Interface>
class PluginHandle {
 public:
  PluginHandle() = default;
  PluginHandle(const LoadedPlugin& plugin, Interface* object) : object_(object, Deleter{&plugin}) {}

  Interface* get() const noexcept { return object_.get(); }
  Interface* operator->() const noexcept { return object_.get(); }
  Interface& operator*() const noexcept { return *object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  const LoadedPlugin* plugin() const noexcept { return object_.get_deleter().plugin; }  // null only if empty from birth
  void reset() noexcept { object_.reset(); }

 private:
  struct Deleter {
    const LoadedPlugin* plugin = nullptr;
    void operator()(Interface* object) const noexcept { plugin_detail::destroy_object(*plugin, object); }
  };
  std::unique_ptr<Interface, Deleter> object_;
};

// The last stage. `options` come from check_options; `host` and the PluginHost outlive the handle.
// failed_precondition if the plugin is of another kind; otherwise the plugin's own error, with its name in
// front.
template <class Interface>
Result<PluginHandle<Interface>> create_plugin(const LoadedPlugin& plugin, const PluginOptions& options,
                                              HostServices& host) {
  WEFT_ASSIGN(object, plugin_detail::create_object(plugin, Interface::plugin_kind, options, host));
  return PluginHandle<Interface>(plugin, static_cast<Interface*>(object));
}

}  // namespace weft
