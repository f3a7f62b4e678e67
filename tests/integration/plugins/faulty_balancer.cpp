// A load balancer for tests that is at fault where its option says, from its third pick or dispatch on; until then it picks
// the first eligible replica.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include "weft/load_balancer.h"
#include "weft/plugin.h"

namespace {

class FaultyBalancer final : public weft::LoadBalancer {
 public:
  explicit FaultyBalancer(std::string fault) : fault_(std::move(fault)) {}

  weft::Result<weft::Decision> pick(const weft::RequestView&, const weft::ReplicaTable& table, weft::Time) override {
    if (++picks_ > 2 && fault_ == "pick_throws") throw std::runtime_error("the third is one too many");
    if (picks_ > 2 && fault_ == "pick_exits") std::exit(0);  // NOLINT(concurrency-mt-unsafe): the fault itself
    if (picks_ > 2 && fault_ == "pick_hangs") hang();
    for (const weft::ReplicaView& replica : table.replicas)
      if (replica.eligible) return weft::Decision{.replica = replica.id, .reason = "the first"};
    return weft::fail(weft::ErrorCode::unavailable, "no replica is eligible", true);
  }
  void observe(const weft::Event& event, weft::Time) override {
    if (event.kind == weft::Event::Kind::dispatched && ++dispatched_ > 2 && fault_ == "observe_throws")
      throw std::runtime_error("the third is one too many");
  }
  void* query(std::string_view) override { return nullptr; }

 private:
  [[noreturn]] static void hang() {
    std::fputs("faulty: it hangs\n", stderr);
    for (;;)
      pause();
  }

  const std::string fault_;
  int picks_ = 0;
  int dispatched_ = 0;
};

constexpr weft::OptionSpec options[] = {{.key = "fault",
                                         .type = weft::OptionSpec::Type::string,
                                         .default_value = "\"none\"",
                                         .range = "none|pick_throws|observe_throws|pick_exits|pick_hangs",
                                         .help = "What it does wrong."}};

}  // namespace

WEFT_PLUGIN(weft::LoadBalancer,
            {.name = "faulty",
             .version = "0.1.0",
             .summary = "is at fault where it is told to be",
             .options = options,
             .create = [](const weft::PluginOptions& values,
                          weft::HostServices&) -> weft::Result<std::unique_ptr<weft::LoadBalancer>> {
               return std::make_unique<FaultyBalancer>(values.get<std::string>("fault"));
             }})
