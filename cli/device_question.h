// What only the device knows about a plan's ranks, asked of one in a child process before anything is started.
#pragma once

#include <vector>

#include "core/config/config.h"
#include "core/plugin/plugin_host.h"
#include "engine/model/model_config.h"
#include "weft/status.h"

namespace weft::cli {

struct DeviceAnswer {
  std::vector<Bytes> kv_block;  // bytes that a block of KV takes on each rank of a pipeline stage, by stage
};

// Forks, so before threads start. Empty where the model cannot be split so: the plan says why. unimplemented: it does not
// compute in the configuration's dtype; any other error: no object could be made of it here.
Result<DeviceAnswer> ask_device(const PluginHost& host, const LoadedPlugin& device, const PluginOptions& options,
                                const Config& config, const engine::ModelConfig& model);

// The same without a device: what keys and values take by themselves, unpadded.
DeviceAnswer guess_device(const Config& config, const engine::ModelConfig& model);

}  // namespace weft::cli
