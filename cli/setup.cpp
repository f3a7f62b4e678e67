#include "cli/setup.h"

#include <fmt/format.h>

#include "cli/exit_code.h"
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
  PluginLoader(const Config& config, PluginHost& host) : config_(config), host_(host) {}

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

  std::vector<Problem>& problems() { return problems_; }
  int code() const { return code_; }

 private:
  const Config& config_;
  PluginHost& host_;
  std::vector<Problem> problems_;
  int code_ = exit_usage;
};

void print(const std::vector<Problem>& problems) {
  for (const Problem& problem : problems)
    fmt::print(stderr, "{}\n", to_string(problem));
}

// Where the plan chose other communicators than one machine would get, loads those; then writes all into the configuration,
// so that workers need not choose.
Status settle_communicators(Setup& setup) {
  Config& config = setup.config;
  const Plan& plan = setup.plan;
  PluginLoader loader(config, *setup.host);
  if (setup.communicator->info.name != plan.communicator) {
    setup.communicator = loader.load("communicator", "communicator", config.communicator, plan.communicator);
    loader.options(setup.communicator, "communicator", config.communicator);
  }
  if (plan.control == plan.communicator)
    setup.control = setup.communicator;
  else if (setup.control->info.name != plan.control)
    setup.control = loader.load("communicator", "communicator", {.where = config.communicator.where}, plan.control);
  if (!loader.problems().empty()) {
    std::string all;
    for (const Problem& problem : loader.problems())
      all += (all.empty() ? "" : "\n") + to_string(problem);
    return fail(loader.code() == exit_usage ? ErrorCode::invalid_argument : ErrorCode::refused, std::move(all));
  }
  if (config.communicator.plugin == "auto") config.communicator.plugin = plan.communicator;
  if (config.control == "auto" && !plan.control.empty()) config.control = plan.control;
  return {};
}

struct Chosen {
  const LoadedPlugin* plugin;
  const PluginOptions& options;
};

// What lives in the head. In a child process first, before any thread runs here: what a plugin's create does to its
// process is then told, not suffered.
Status make_objects(Setup& setup, const Chosen& executor, const Chosen& balancer) {
  for (const Chosen& chosen : {executor, balancer})
    WEFT_TRY(setup.host->rehearse(*chosen.plugin, chosen.options));
  const auto services = [&](const Chosen& chosen) {
    return std::make_unique<PluginHostServices>(
        HostServicesSpec{.plugin = chosen.plugin->id(), .metrics = &setup.metrics});
  };
  setup.executor_services = services(executor);
  setup.balancer_services = services(balancer);
  WEFT_ASSIGN(made_executor, create_plugin<Executor>(*executor.plugin, executor.options, *setup.executor_services));
  setup.executor = std::move(made_executor);
  WEFT_ASSIGN(made_balancer, create_plugin<LoadBalancer>(*balancer.plugin, balancer.options, *setup.balancer_services));
  setup.balancer = std::move(made_balancer);
  return {};
}

// Tells the error; null, for make_setup to return.
std::unique_ptr<Setup> failed(const Error& error, int code, int& exit_code) {
  fmt::print(stderr, "{}\n", error.message);
  exit_code = code;
  return nullptr;
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

std::unique_ptr<Setup> make_setup(const SetupOptions& options, int& exit_code) {
  exit_code = exit_usage;
  ParsedConfig parsed = read_config(options.config_file, options.overrides);
  if (parsed.unreadable) {
    print(parsed.problems);
    exit_code = parsed.missing ? exit_not_found : exit_usage;
    return nullptr;
  }
  auto setup = std::make_unique<Setup>();
  setup->config = std::move(parsed.config);
  const Config& config = setup->config;
  log::set_up({.level = log::parse_level(config.log.level).value_or(LogLevel::info),
               .format = log::parse_format(config.log.format).value_or(log::Format::text)});
  setup->host = std::make_unique<PluginHost>(
      PluginHost::Options{.search_path = SearchPath::standard(options.plugin_dirs),
                          .strict = config.plugins.strict,
                          .child_limit = std::chrono::ceil<std::chrono::milliseconds>(config.timeouts.plugin)});

  PluginLoader loader(config, *setup->host);
  // What "auto" chooses depends on where ranks are placed, which is known only when all plugins are there that place them.
  // Until then it is what one machine gets, so that mistakes in the file come all at once.
  Unusable unusable;
  if (config.communicator.plugin == "auto")
    if (const auto shm = setup->host->load({.kind = "communicator", .name = "shm"}); !shm)
      unusable.shm = shm.error().message;
  const PluginNames names = resolve_plugins(config, {}, unusable);
  const LoadedPlugin* executor = loader.load("executor", "executor", config.executor, config.executor.plugin);
  const LoadedPlugin* balancer = loader.load("load_balancer", "balancer", config.balancer, config.balancer.plugin);
  setup->communicator = loader.load("communicator", "communicator", config.communicator, names.communicator);
  setup->control =
      names.control == names.communicator || names.control.empty()
          ? setup->communicator
          : loader.load("communicator", "communicator", {.where = config.communicator.where}, names.control);
  setup->device = loader.load("device", "device", config.device, names.device);
  const PluginOptions executor_options = loader.options(executor, "executor", config.executor);
  const PluginOptions balancer_options = loader.options(balancer, "balancer", config.balancer);
  loader.options(setup->communicator, "communicator", config.communicator);
  loader.options(setup->device, "device", config.device);

  // A plugin chosen by its file alone has told its name by now.
  if (setup->communicator != nullptr && config.communicator.plugin.empty())
    setup->config.communicator.plugin = setup->communicator->info.name;
  if (setup->device != nullptr && config.device.plugin.empty()) setup->config.device.plugin = setup->device->info.name;
  if (executor != nullptr) setup->config.executor.plugin = executor->info.name;
  if (balancer != nullptr) setup->config.balancer.plugin = balancer->info.name;

  std::vector<Problem> problems = std::move(parsed.problems);
  const bool only_plugins = problems.empty();
  problems.insert(problems.end(), loader.problems().begin(), loader.problems().end());
  if (!problems.empty()) {
    print(problems);
    exit_code = only_plugins ? loader.code() : exit_usage;
    return nullptr;
  }

  const auto model = engine::read_model_config(config.model.path);
  if (!model) return failed(model.error(), exit_code_of(model.error()), exit_code);
  setup->model = *model;
  // Whatever error it is, a plugin that makes no object has been given something that it cannot work with.
  if (const Status made = make_objects(*setup, {executor, executor_options}, {balancer, balancer_options}); !made)
    return failed(made.error(), exit_usage, exit_code);
  auto inventory = setup->executor->inventory(Deadline::in(inventory_deadline));
  if (!inventory) return failed(annotate(std::move(inventory).error(), executor->id()), exit_not_started, exit_code);
  setup->inventory = std::move(*inventory);
  auto plan = make_plan(config, setup->model.shape, setup->inventory, unusable);
  if (!plan) return failed(plan.error(), exit_code_of(plan.error()), exit_code);
  setup->plan = std::move(*plan);
  if (const Status settled = settle_communicators(*setup); !settled)
    return failed(settled.error(), exit_code_of(settled.error()), exit_code);
  exit_code = exit_ok;
  return setup;
}

}  // namespace weft::cli
