// An executor for tests: `mp`, but each worker is started through a program that may do something to it first, such as
// going to another directory, or stopping. The program gets the worker's command as its arguments and WEFT_RANK in its
// environment.
#include "plugins/executor_mp/mp_executor.h"
#include "weft/plugin.h"

namespace {

class WrappingExecutor final : public weft::Executor {
 public:
  WrappingExecutor(std::string wrapper, weft::HostServices& host) : wrapper_(std::move(wrapper)), mp_({}, host) {}

  weft::Result<weft::Inventory> inventory(weft::Deadline deadline) override { return mp_.inventory(deadline); }
  weft::Status launch(const weft::GangSpec& spec, weft::GangSink& sink) override {
    weft::GangSpec wrapped = spec;
    for (weft::RankSpec& rank : wrapped.ranks)
      rank.argv.insert(rank.argv.begin(), wrapper_);
    return mp_.launch(wrapped, sink);
  }
  weft::Status stop(const weft::GangId& gang, weft::Duration grace) override { return mp_.stop(gang, grace); }
  weft::Status close() override { return mp_.close(); }
  void* query(std::string_view) override { return nullptr; }

 private:
  const std::string wrapper_;
  weft::mp::MpExecutor mp_;
};

constexpr weft::OptionSpec options[] = {
    {"wrapper", weft::OptionSpec::Type::string, "\"\"", nullptr, "The program that starts each worker."},
};

weft::Result<std::unique_ptr<weft::Executor>> create(const weft::PluginOptions& values, weft::HostServices& host) {
  return std::make_unique<WrappingExecutor>(values.get<std::string>("wrapper"), host);
}

}  // namespace

WEFT_PLUGIN(weft::Executor, {.name = "wrapping",
                             .version = "0.1.0",
                             .summary = "Starts each rank of this machine through another program.",
                             .options = options,
                             .create = create})
