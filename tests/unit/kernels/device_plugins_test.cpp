// The devices as the host finds them: shared libraries with one symbol.
#include <dlfcn.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/support/null_host.h"
#include "weft/device.h"
#include "weft/plugin.h"

namespace weft {
namespace {

class FakeHost final : public test::NullHost {
 public:
  std::span<const int> cpus() const noexcept override { return cpus_; }

 private:
  std::array<int, 2> cpus_{0, 0};
};

const weft_plugin_descriptor* load(const std::string& name) {
  const std::string path = fmt::format("{}/lib/weft/plugins/libweft-device-{}.so", WEFT_BUILD_DIR, name);
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed, as the host never does
  if (library == nullptr) {
    ADD_FAILURE() << dlerror();
    return nullptr;
  }
  const auto function = reinterpret_cast<weft_plugin_function>(dlsym(library, plugin_symbol));
  return function == nullptr ? nullptr : function();
}

void expect_device(const std::string& name, const PluginOptions& options, const std::string& description) {
  const weft_plugin_descriptor* plugin = load(name);
  ASSERT_NE(plugin, nullptr);
  EXPECT_EQ(plugin->magic, plugin_magic);
  EXPECT_STREQ(plugin->kind, "device");
  EXPECT_EQ(plugin->name, name);
  EXPECT_STREQ(plugin->fingerprint, WEFT_FINGERPRINT);
  EXPECT_EQ(plugin->runtime, cxx_runtime_address());
  const std::vector<std::string> capabilities(plugin->capabilities, plugin->capabilities + plugin->capability_count);
  EXPECT_THAT(capabilities, ::testing::Contains("batch_invariant"));
  FakeHost host;
  Error error;
  auto* device = static_cast<Device*>(plugin->create(&options, &host, &error));
  ASSERT_NE(device, nullptr) << error.message;
  EXPECT_THAT(device->info().description, ::testing::HasSubstr(description));
  plugin->destroy(device);
}

TEST(DevicePlugins, ReferenceLoadsAndMakesADevice) { expect_device("reference", {}, "1 thread"); }

TEST(DevicePlugins, CpuHasAThreadForEachCpuUnlessItIsTold) {
  expect_device("cpu", {{{"threads", std::int64_t{0}}}}, "2 threads");
  expect_device("cpu", {{{"threads", std::int64_t{3}}}}, "3 threads");
}

}  // namespace
}  // namespace weft
