// An executor for tests that is at fault where its option says; where that is none it starts nothing and says so.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "weft/executor.h"
#include "weft/plugin.h"

namespace {

[[noreturn]] void hang() {
  std::fputs("faulty: it hangs\n", stderr);
  for (;;)
    pause();
}

class FaultyExecutor final : public weft::Executor {
 public:
  explicit FaultyExecutor(std::string fault) : fault_(std::move(fault)) {}

  weft::Result<weft::Inventory> inventory(weft::Deadline) override {
    if (fault_ == "inventory_throws") throw std::runtime_error("it lost its list");
    if (fault_ == "inventory_exits") std::exit(0);  // NOLINT(concurrency-mt-unsafe): the fault itself
    if (fault_ == "inventory_hangs") hang();
    if (fault_ == "inventory_aborts") std::abort();
    if (fault_ == "inventory_ends") ::_exit(77);
    // NOLINTNEXTLINE(bugprone-exception-escape): the fault itself
    if (fault_ == "thread_throws") std::thread([] { throw std::runtime_error("its thread lost its list"); }).join();
    weft::Inventory found;
    found.nodes.push_back(
        {.name = "here", .address = "127.0.0.1", .cpus = {0}, .memory = weft::Bytes{8} << 30, .devices = {}});
    return found;
  }
  weft::Status launch(const weft::GangSpec&, weft::GangSink&) override {
    if (fault_ == "launch_throws") throw std::runtime_error("it lost its list");
    if (fault_ == "launch_hangs") hang();
    return weft::fail(weft::ErrorCode::unimplemented, "it only has an inventory");
  }
  weft::Status stop(const weft::GangId&, weft::Duration) override {
    return weft::fail(weft::ErrorCode::not_found, "nothing was launched");
  }
  weft::Status close() override { return {}; }
  void* query(std::string_view) override { return nullptr; }

 private:
  const std::string fault_;
};

constexpr weft::OptionSpec options[] = {{.key = "fault",
                                         .type = weft::OptionSpec::Type::string,
                                         .default_value = "\"none\"",
                                         .range = "none|inventory_throws|inventory_exits|inventory_hangs|inventory_"
                                                  "aborts|inventory_ends|thread_throws|launch_throws|"
                                                  "launch_hangs",
                                         .help = "What it does wrong."}};

weft::Result<std::unique_ptr<weft::Executor>> create(const weft::PluginOptions& given, weft::HostServices&) {
  return std::make_unique<FaultyExecutor>(given.get<std::string>("fault"));
}

}  // namespace

WEFT_PLUGIN(weft::Executor, {.name = "faulty",
                             .version = "0.1.0",
                             .summary = "Does what its option says wrong.",
                             .options = options,
                             .create = create})
