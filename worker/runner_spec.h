// What a configuration makes of a rank: the same for the worker that runs it and for `weft check`, which foretells it.
#pragma once

#include "core/config/config.h"
#include "engine/model/runner_spec.h"
#include "weft/plugin.h"

namespace weft::worker {

// Without device and groups. `kv_memory` is what the plan gives the rank.
engine::RunnerSpec runner_spec(const Config& config, const engine::ModelConfig& model, engine::RankPosition position,
                               Bytes kv_memory);

// The plan's threads reach a device that knows the option `threads`, unless the user has said otherwise in its own table.
void plan_threads(PluginOptions& device_options, int threads);

}  // namespace weft::worker
