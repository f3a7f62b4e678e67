// A balancer behind the plugin host, a table of replicas and a virtual clock.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/plugin/host_services.h"
#include "core/plugin/plugin_host.h"
#include "weft/load_balancer.h"

namespace weft::testing {

class Balancer {
 public:
  explicit Balancer(const std::string& name, std::vector<UserOption> written = {}) {
    const auto plugin = host_.load({.kind = "load_balancer", .name = name});
    EXPECT_TRUE(plugin) << plugin.error().message;
    const CheckedOptions checked = check_options((*plugin)->info.options, written, "balancer.config", "weft.toml:1:1");
    EXPECT_TRUE(checked.problems.empty());
    auto made = create_plugin<LoadBalancer>(**plugin, checked.options, services_);
    EXPECT_TRUE(made) << made.error().message;
    handle_ = std::move(*made);
  }

  // Replicas 0 .. count - 1, all eligible, in incarnation 1.
  void join(ReplicaId count) {
    for (ReplicaId id = static_cast<ReplicaId>(table.size()); id < count; ++id) {
      table.push_back({.id = id, .incarnation = 1, .eligible = true, .capacity = 1 << 20});
      observe({.kind = Event::Kind::joined, .replica = id, .incarnation = 1});
    }
  }
  Result<Decision> try_pick(RequestId id, std::int32_t prompt = 10, std::int32_t max_tokens = 10) {
    return handle_->pick(
        {.id = id, .prompt_tokens = prompt, .max_tokens = max_tokens, .block_hashes = {}, .affinity = {}},
        {.replicas = table}, now);
  }
  ReplicaId pick(RequestId id, std::int32_t prompt = 10, std::int32_t max_tokens = 10) {
    const auto decision = try_pick(id, prompt, max_tokens);
    if (!decision) return -1;
    EXPECT_FALSE(decision->reason.empty());
    return decision->replica;
  }
  void observe(const Event& event) { handle_->observe(event, now); }
  void finish(RequestId id, ReplicaId replica, std::int64_t incarnation = 1) {
    observe({.kind = Event::Kind::finished, .replica = replica, .incarnation = incarnation, .request = id});
  }
  LoadBalancer& operator*() const { return *handle_; }

  std::vector<ReplicaView> table;
  Time now = Time{} + std::chrono::hours(1);

 private:
  PluginHost host_{{.search_path = {.directories = {{.path = WEFT_PLUGINS, .origin = "the build"}}}}};
  PluginHostServices services_{{.plugin = "load_balancer/test"}};
  PluginHandle<LoadBalancer> handle_;
};

}  // namespace weft::testing
