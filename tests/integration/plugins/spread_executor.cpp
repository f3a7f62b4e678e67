// An executor for tests whose inventory has two nodes, and which has a thread, as executors do. It launches nothing.
// SPREAD_NAME and SPREAD_SAYS_SO come from the build: one says that it has several nodes, one keeps it to itself.
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "weft/executor.h"
#include "weft/plugin.h"

namespace {

class SpreadExecutor final : public weft::Executor {
 public:
  SpreadExecutor() : thread_([this] { wait(); }) {}
  ~SpreadExecutor() override { (void)close(); }

  weft::Result<weft::Inventory> inventory(weft::Deadline) override {
    weft::Inventory found;
    for (const char* name : {"left", "right"})
      found.nodes.push_back(
          {.name = name, .address = "127.0.0.1", .cpus = {0}, .memory = weft::Bytes{8} << 30, .devices = {}});
    return found;
  }
  weft::Status launch(const weft::GangSpec&, weft::GangSink&) override {
    return weft::fail(weft::ErrorCode::unimplemented, "it only has an inventory");
  }
  weft::Status stop(const weft::GangId&, weft::Duration) override {
    return weft::fail(weft::ErrorCode::not_found, "nothing was launched");
  }
  weft::Status close() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    return {};
  }
  void* query(std::string_view) override { return nullptr; }

 private:
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closing_; });
  }

  std::mutex mutex_;  // guards closing_
  std::condition_variable changed_;
  bool closing_ = false;
  std::thread thread_;
};

weft::Result<std::unique_ptr<weft::Executor>> create(const weft::PluginOptions&, weft::HostServices&) {
  return std::make_unique<SpreadExecutor>();
}

#ifdef SPREAD_SAYS_SO
constexpr const char* capabilities[] = {"several_nodes"};
#else
constexpr const char* capabilities[] = {"x-quiet"};
#endif

}  // namespace

WEFT_PLUGIN(weft::Executor, {.name = SPREAD_NAME,
                             .version = "0.1.0",
                             .summary = "Has two nodes and starts nothing.",
                             .capabilities = capabilities,
                             .create = create})
