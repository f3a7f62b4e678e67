// Ranks as threads of one process, each with its own end of a group, over the plugin as it is shipped.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/plugin/plugin_host.h"
#include "core/store/local_store.h"
#include "core/store/store_host.h"
#include "tests/support/null_host.h"
#include "weft/communicator.h"

namespace weft::test {

inline constexpr Duration patience = std::chrono::seconds(60);  // of tests that expect success, on a loaded machine

// A plugin, loaded once a process through the one door there is.
class Plugin {
 public:
  static PluginHandle<Communicator> make(const std::string& name, const std::vector<UserOption>& written = {}) {
    static std::map<std::string, std::unique_ptr<Plugin>> plugins;
    auto& plugin = plugins[name];
    if (!plugin) plugin.reset(new Plugin(name));
    EXPECT_TRUE(plugin->loaded_) << (plugin->loaded_ ? "" : plugin->loaded_.error().message);
    const CheckedOptions checked =
        check_options((*plugin->loaded_)->info.options, written, "communicator.config", "test");
    EXPECT_TRUE(checked.problems.empty());
    auto made = create_plugin<Communicator>(**plugin->loaded_, checked.options, plugin->services_);
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return std::move(*made);
  }

 private:
  explicit Plugin(const std::string& name) : loaded_(host_.load({.kind = "communicator", .name = name})) {}

  PluginHost host_{{.search_path = SearchPath::standard({WEFT_BUILD_DIR "/lib/weft/plugins"})}};
  NullHost services_;
  Result<const LoadedPlugin*> loaded_;
};

// Tests that every communicator for host memory passes; the parameter is the plugin's name.
class ForEachPlugin : public testing::TestWithParam<const char*> {
 public:
  static PluginHandle<Communicator> make(const std::vector<UserOption>& written = {}) {
    return Plugin::make(GetParam(), written);
  }
};
#define WEFT_FOR_EACH_PLUGIN(Suite)                                             \
  class Suite : public ForEachPlugin {};                                        \
  INSTANTIATE_TEST_SUITE_P(Communicator, Suite, testing::Values("gloo", "shm"), \
                           [](const auto& each) { return std::string(each.param); })

inline GroupSpec spec_of(StoreClient& store, std::string id, std::int32_t rank, std::int32_t size) {
  return GroupSpec{.id = std::move(id),
                   .rank = rank,
                   .size = size,
                   .store = &store,
                   .deadline = Deadline::in(patience),
                   .operation_timeout = patience,
                   .address = "127.0.0.1"};
}

// Runs `body(rank)` on `size` threads and joins them.
inline void on_threads(std::int32_t size, const std::function<void(std::int32_t)>& body) {
  std::vector<std::thread> threads;
  for (std::int32_t rank = 0; rank < size; ++rank)
    threads.emplace_back(body, rank);
  for (std::thread& thread : threads)
    thread.join();
}

// Opens a group of `size` threads, runs `body(group)` on each, closes it.
inline void with_group(Communicator& communicator, std::int32_t size, const std::function<void(Group&)>& body) {
  store::StoreHost host;
  on_threads(size, [&](std::int32_t rank) {
    store::LocalStore client(host);
    auto group = communicator.open(spec_of(client, "test/1", rank, size));
    ASSERT_TRUE(group) << group.error().message;
    body(**group);
    const Status closed = (*group)->close(Deadline::in(patience));
    EXPECT_TRUE(closed) << closed.error().message;
  });
  EXPECT_EQ(host.size(), 0u) << "keys were left in the store";
}

// Waits for what a call gave.
inline Status finish(Result<Work> work, Deadline deadline = Deadline::in(patience)) {
  if (!work) return fail(work.error());
  return work->wait(deadline);
}

inline void expect_ok(const Status& status) { EXPECT_TRUE(status) << status.error().message; }

}  // namespace weft::test
