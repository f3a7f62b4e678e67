#include <weft/device.h>
#include <weft/plugin.h>

#include "kernels/cpu/cpu_device.h"

namespace {

constexpr const char* capabilities[] = {"f32", "f16", "bf16", "batch_invariant"};

constexpr weft::OptionSpec options[] = {
    {.key = "threads",
     .type = weft::OptionSpec::Type::integer,
     .default_value = "0",
     .range = "0..1024",
     .help = "threads that share an operation, the caller's included; 0: one for each CPU that the plan gave the rank"},
};

weft::Result<std::unique_ptr<weft::Device>> create(const weft::PluginOptions& values, weft::HostServices& host) {
  const auto cpus = host.cpus();
  return weft::make_cpu_device(
      {.threads = static_cast<int>(values.get<std::int64_t>("threads")), .cpus = {cpus.begin(), cpus.end()}});
}

}  // namespace

WEFT_PLUGIN(weft::Device, {.name = "cpu",
                           .version = "0.1.0",
                           .summary = "SIMD chosen at run time, a small pool of threads",
                           .capabilities = capabilities,
                           .options = options,
                           .create = create})
