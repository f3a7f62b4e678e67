// What every command that reads weft.toml does first: the configuration, its plugins and the model's shape, with every
// problem of all of them told at once.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/device_question.h"
#include "core/cluster/cluster.h"
#include "core/cluster/guarded_executor.h"
#include "core/config/config.h"
#include "core/plan/plan.h"
#include "core/plugin/host_services.h"
#include "core/plugin/plugin_host.h"
#include "core/routing/guarded_balancer.h"
#include "engine/model/model_config.h"
#include "weft/executor.h"
#include "weft/load_balancer.h"

namespace weft::cli {

// The options that such commands share.
struct SetupOptions {
  std::string config_file = "weft.toml";
  std::string model_directory;  // absolute: this model and defaults, in place of the file; empty: the file
  std::vector<std::string> overrides;
  std::vector<std::string> plugin_dirs;
};

// Ready to plan or to launch. Members are destroyed from the last to the first: objects of plugins before their host.
struct Setup {
  Config config;
  engine::ModelConfig model;
  std::unique_ptr<PluginHost> host;
  Metrics metrics;
  const LoadedPlugin* communicator = nullptr;
  const LoadedPlugin* control = nullptr;
  const LoadedPlugin* device = nullptr;
  std::unique_ptr<PluginHostServices> executor_services;
  std::unique_ptr<PluginHostServices> balancer_services;
  PluginHandle<Executor> executor;
  PluginHandle<LoadBalancer> balancer;
  std::unique_ptr<GuardedExecutor> guarded_executor;  // what the cluster is given
  std::unique_ptr<GuardedBalancer> guarded_balancer;  // what the router is given
  PluginOptions device_options;                       // as the user wrote them, and defaults
  DeviceAnswer device_answer;
  Inventory inventory;
  Plan plan;

  std::vector<WorkerPlugin> worker_plugins() const;
  std::int32_t max_context() const { return config.model.max_context.value_or(model.shape.max_context); }  // tokens
  DType dtype() const { return config.model.dtype.value_or(model.shape.dtype); }
};

// Prints every problem on standard error, one a line. `exit_code` says what to return where the pointer is null.
// `objects_made` is called once the plugins of the head have their objects: from then on nothing forks, so that threads
// may live.
std::unique_ptr<Setup> make_setup(const SetupOptions& options, int& exit_code,
                                  const std::function<void()>& objects_made = nullptr);

// Version and source revision: what Hello compares.
std::string build_identity();

}  // namespace weft::cli
