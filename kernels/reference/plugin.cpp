#include <weft/device.h>
#include <weft/plugin.h>

#include "kernels/reference/reference_device.h"

namespace {

constexpr const char* capabilities[] = {"f32", "f16", "bf16", "batch_invariant"};

weft::Result<std::unique_ptr<weft::Device>> create(const weft::PluginOptions&, weft::HostServices&) {
  return weft::make_reference_device();
}

}  // namespace

WEFT_PLUGIN(weft::Device, {.name = "reference",
                           .version = "0.1.0",
                           .summary = "naive arithmetic on one thread, the oracle of every other device",
                           .capabilities = capabilities,
                           .create = create})
