#include "cli/setup.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "cli/exit_code.h"
#include "cli/run_guard.h"
#include "core/telemetry/log.h"

#ifndef WEFT_VERSION
#error "the build defines WEFT_VERSION"
#endif

namespace weft::cli {
namespace {

constexpr Duration inventory_deadline = std::chrono::seconds(30);

// Loads the plugins a configuration names and checks the user's options for them; every problem is kept.
class PluginLoader {
 public:
  explicit PluginLoader(PluginHost& host) : host_(host) {}

  const LoadedPlugin* load(const char* kind, const std::string& table, const PluginChoice& choice,
                           const std::string& name) {
    const auto loaded = host_.load({.kind = kind, .name = name, .path = choice.path, .sha256 = choice.sha256});
    if (!loaded) {
      code_ = exit_code_of(loaded.error());
      problems_.push_back({choice.where, fmt::format("[{}] plugin: {}", table, loaded.error().message)});
      return nullptr;
    }
    return *loaded;
  }

  PluginOptions options(const LoadedPlugin* plugin, const std::string& table, const PluginChoice& choice) {
    if (plugin == nullptr) return {};
    CheckedOptions checked = check_options(plugin->info.options, choice.options, table + ".config", choice.where);
    for (OptionProblem& problem : checked.problems)
      problems_.push_back({std::move(problem.where), std::move(problem.message)});
    return std::move(checked.options);
  }

  const std::vector<Problem>& problems() const { return problems_; }
  int code() const { return code_; }

 private:
  PluginHost& host_;
  std::vector<Problem> problems_;
  int code_ = exit_usage;
};

void print(const std::vector<Problem>& problems) {
  for (const Problem& problem : problems)
    fmt::print(stderr, "{}\n", to_string(problem));
}

// What a file with the model's path alone would say. An absolute path is no TOML value, so it is taken as it is.
ParsedConfig config_of_model(const std::string& directory, const std::vector<std::string>& overrides) {
  std::vector<std::string> all = {"model.path=" + directory};
  all.insert(all.end(), overrides.begin(), overrides.end());
  std::error_code code;
  auto config = parse_config({.text = "",
                              .name = "--model",
                              .base_directory = std::filesystem::current_path(code).string(),
                              .overrides = std::move(all)});
  if (!config) return {.config = {}, .problems = std::move(config).error(), .unreadable = true};
  return {.config = std::move(*config), .problems = {}};
}

// A plugin that lives in the head, and what the user's options came to.
struct Chosen {
  const LoadedPlugin* plugin = nullptr;
  PluginOptions options;
};

// One Setup, step by step in the order of the steps below. A step that fails has told why on standard error, set code()
// and answers false; none may follow.
//
// Whatever loads a plugin forks, so that one that crashes costs a child; so all of them are loaded before the first object of a
// plugin is made: an executor's has a thread, and what a thread holds locked stays locked in a child for good.
class SetupMaker {
 public:
  explicit SetupMaker(const SetupOptions& options) : options_(options) {}

  bool read();  // weft.toml; then logs are as it says
  bool load_plugins();
  bool read_model();
  bool ask_the_device();
  bool make_objects();
  bool place();  // where ranks run
  bool settle_communicators();

  int code() const { return code_; }
  std::unique_ptr<Setup> take() { return std::move(setup_); }

 private:
  Unusable find_unusable();
  void load_communicators(PluginLoader& loader, const PluginNames& names);
  void load_for_several_nodes();
  void adopt_names();
  bool tell_problems(const PluginLoader& loader);
  bool choose(const std::string& name, const LoadedPlugin*& communicator);
  bool failed(const Error& error, int code);

  const SetupOptions& options_;
  std::unique_ptr<Setup> setup_ = std::make_unique<Setup>();
  std::vector<Problem> problems_;  // of the file
  Unusable unusable_;
  Chosen executor_;
  Chosen balancer_;
  std::string device_warning_;                                 // empty: it has answered
  std::map<std::string, Result<const LoadedPlugin*>> others_;  // communicators that the plan may choose
  int code_ = exit_usage;
};

bool SetupMaker::failed(const Error& error, int code) {
  fmt::print(stderr, "{}\n", error.message);
  code_ = code;
  return false;
}

bool SetupMaker::read() {
  ParsedConfig parsed = options_.model_directory.empty()
                            ? read_config(options_.config_file, options_.overrides)
                            : config_of_model(options_.model_directory, options_.overrides);
  if (parsed.unreadable) {
    print(parsed.problems);
    code_ = parsed.missing ? exit_not_found : exit_usage;
    return false;
  }
  setup_->config = std::move(parsed.config);
  problems_ = std::move(parsed.problems);
  const Config& config = setup_->config;
  log::set_up({.level = log::parse_level(config.log.level).value_or(LogLevel::info),
               .format = log::parse_format(config.log.format).value_or(log::Format::text)});
  setup_->host = std::make_unique<PluginHost>(
      PluginHost::Options{.search_path = SearchPath::standard(options_.plugin_dirs),
                          .strict = config.plugins.strict,
                          .child_limit = std::chrono::ceil<std::chrono::milliseconds>(config.timeouts.plugin)});
  return true;
}

bool SetupMaker::load_plugins() {
  const Config& config = setup_->config;
  PluginLoader loader(*setup_->host);
  unusable_ = find_unusable();
  executor_.plugin = loader.load("executor", "executor", config.executor, config.executor.plugin);
  balancer_.plugin = loader.load("load_balancer", "balancer", config.balancer, config.balancer.plugin);
  const PluginNames names = resolve_plugins(config, {}, unusable_);
  load_communicators(loader, names);
  setup_->device = loader.load("device", "device", config.device, names.device);
  executor_.options = loader.options(executor_.plugin, "executor", config.executor);
  balancer_.options = loader.options(balancer_.plugin, "balancer", config.balancer);
  loader.options(setup_->communicator, "communicator", config.communicator);
  setup_->device_options = loader.options(setup_->device, "device", config.device);
  adopt_names();
  if (!tell_problems(loader)) return false;
  load_for_several_nodes();
  return true;
}

Unusable SetupMaker::find_unusable() {
  Unusable unusable;
  if (setup_->config.communicator.plugin == "auto")
    if (const auto shm = setup_->host->load({.kind = "communicator", .name = "shm"}); !shm)
      unusable.shm = shm.error().message;
  return unusable;
}

// What "auto" chooses depends on where ranks are placed, which is known only when the executor is there that places them.
// Until then it is what one machine gets, so that mistakes in the file come all at once.
void SetupMaker::load_communicators(PluginLoader& loader, const PluginNames& names) {
  const Config& config = setup_->config;
  setup_->communicator = loader.load("communicator", "communicator", config.communicator, names.communicator);
  setup_->control =
      names.control == names.communicator || names.control.empty()
          ? setup_->communicator
          : loader.load("communicator", "communicator", {.where = config.communicator.where}, names.control);
}

// What several nodes would get instead. Whether it is there matters only if the plan chooses it.
void SetupMaker::load_for_several_nodes() {
  if (!executor_.plugin->has("several_nodes")) return;
  const PluginNames names = resolve_plugins(setup_->config, {.replicas = true, .leaders = true}, unusable_);
  for (const std::string& name : {names.communicator, names.control})
    if (name != setup_->communicator->info.name && name != setup_->control->info.name)
      others_.try_emplace(name, setup_->host->load({.kind = "communicator", .name = name}));
}

// A plugin chosen by its file alone has told its name by now.
void SetupMaker::adopt_names() {
  Config& config = setup_->config;
  if (setup_->communicator != nullptr && config.communicator.plugin.empty())
    config.communicator.plugin = setup_->communicator->info.name;
  if (setup_->device != nullptr && config.device.plugin.empty()) config.device.plugin = setup_->device->info.name;
  if (executor_.plugin != nullptr) config.executor.plugin = executor_.plugin->info.name;
  if (balancer_.plugin != nullptr) config.balancer.plugin = balancer_.plugin->info.name;
}

// Those of the file and those of its plugins, at once. True where there are none.
bool SetupMaker::tell_problems(const PluginLoader& loader) {
  code_ = problems_.empty() ? loader.code() : exit_usage;
  problems_.insert(problems_.end(), loader.problems().begin(), loader.problems().end());
  print(problems_);
  return problems_.empty();
}

bool SetupMaker::read_model() {
  const auto model = engine::read_model_config(setup_->config.model.path);
  if (!model) return failed(model.error(), exit_code_of(model.error()));
  setup_->model = *model;
  return true;
}

// A device that no object can be made of here will do no better in a worker of this machine; on other nodes it may.
bool SetupMaker::ask_the_device() {
  auto answer = cli::ask_device(*setup_->host, *setup_->device, setup_->device_options, setup_->config, setup_->model);
  if (answer) {
    setup_->device_answer = std::move(*answer);
    return true;
  }
  if (answer.error().code == ErrorCode::unimplemented || !executor_.plugin->has("several_nodes"))
    return failed(answer.error(), exit_usage);
  setup_->device_answer = guess_device(setup_->config, setup_->model);
  device_warning_ =
      fmt::format("blocks of KV are counted without what {} may pad, as it does not work on this machine: {}",
                  setup_->device->id(), answer.error().message);
  return true;
}

// What lives in the head. In a child process first, before any thread runs here: what a plugin's create does to its
// process is then told, not suffered. Whatever error it is, a plugin that makes no object has been given something that it cannot
// work with.
bool SetupMaker::make_objects() {
  for (const Chosen* chosen : {&executor_, &balancer_})
    if (const Status rehearsed = setup_->host->rehearse(*chosen->plugin, chosen->options); !rehearsed)
      return failed(rehearsed.error(), exit_usage);
  const auto services = [this](const Chosen& chosen) {
    return std::make_unique<PluginHostServices>(
        HostServicesSpec{.plugin = chosen.plugin->id(), .metrics = &setup_->metrics});
  };
  setup_->executor_services = services(executor_);
  setup_->balancer_services = services(balancer_);
  auto executor = create_plugin<Executor>(*executor_.plugin, executor_.options, *setup_->executor_services);
  if (!executor) return failed(executor.error(), exit_usage);
  setup_->executor = std::move(*executor);
  setup_->guarded_executor = std::make_unique<GuardedExecutor>(*setup_->executor, executor_.plugin->id());
  auto balancer = create_plugin<LoadBalancer>(*balancer_.plugin, balancer_.options, *setup_->balancer_services);
  if (!balancer) return failed(balancer.error(), exit_usage);
  setup_->balancer = std::move(*balancer);
  setup_->guarded_balancer = std::make_unique<GuardedBalancer>(*setup_->balancer, balancer_.plugin->id());
  return true;
}

bool SetupMaker::place() {
  auto inventory = setup_->guarded_executor->inventory(Deadline::in(inventory_deadline));
  if (!inventory) return failed(annotate(std::move(inventory).error(), executor_.plugin->id()), exit_not_started);
  setup_->inventory = std::move(*inventory);
  auto plan = make_plan(setup_->config, setup_->model.shape, setup_->inventory, unusable_);
  if (!plan) return failed(plan.error(), exit_code_of(plan.error()));
  setup_->plan = std::move(*plan);
  if (!device_warning_.empty()) setup_->plan.warnings.push_back(device_warning_);
  return true;
}

// Where the plan chose other communicators than one machine would get, takes those; then writes all into the configuration,
// so that workers need not choose.
bool SetupMaker::settle_communicators() {
  Config& config = setup_->config;
  const Plan& plan = setup_->plan;
  if (!choose(plan.communicator, setup_->communicator)) return false;
  if (plan.control == plan.communicator) setup_->control = setup_->communicator;
  if (!choose(plan.control, setup_->control)) return false;
  PluginLoader loader(*setup_->host);
  loader.options(setup_->communicator, "communicator", config.communicator);
  if (!tell_problems(loader)) return false;
  if (config.communicator.plugin == "auto") config.communicator.plugin = plan.communicator;
  if (config.control == "auto") config.control = plan.control;
  code_ = exit_ok;
  return true;
}

bool SetupMaker::choose(const std::string& name, const LoadedPlugin*& communicator) {
  if (communicator->info.name == name) return true;
  const auto found = others_.find(name);
  if (found != others_.end() && found->second) {
    communicator = *found->second;
    return true;
  }
  Error error =
      found != others_.end()
          ? found->second.error()
          : Error{ErrorCode::refused,
                  fmt::format("{} places ranks on several nodes and does not declare the capability "
                              "several_nodes, so that communicator/{}, which joins them, is not loaded; its "
                              "author has to declare it, or name the communicator: communicator.plugin = \"{}\"",
                              executor_.plugin->id(), name, name),
                  false};
  error.message =
      to_string(Problem{setup_->config.communicator.where, fmt::format("[communicator] plugin: {}", error.message)});
  return failed(error, exit_code_of(error));
}

}  // namespace

std::string build_identity() { return WEFT_VERSION; }

std::vector<WorkerPlugin> Setup::worker_plugins() const {
  std::vector<WorkerPlugin> plugins;
  for (const LoadedPlugin* plugin : {communicator, control, device})
    if (plugin != nullptr && (plugin != control || control != communicator || plugins.empty()))
      plugins.push_back({.kind = plugin->info.kind,
                         .name = plugin->info.name,
                         .version = plugin->info.version,
                         .sha256 = plugin->info.sha256,
                         .path = plugin->info.file});
  return plugins;
}

std::unique_ptr<Setup> make_setup(const SetupOptions& options, int& exit_code,
                                  const std::function<void()>& objects_made) {
  const RunGuard guard;
  SetupMaker maker(options);
  bool made =
      maker.read() && maker.load_plugins() && maker.read_model() && maker.ask_the_device() && maker.make_objects();
  if (made && objects_made) objects_made();
  made = made && maker.place() && maker.settle_communicators();
  exit_code = maker.code();
  return made ? maker.take() : nullptr;
}

}  // namespace weft::cli
