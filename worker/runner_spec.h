// What a configuration makes of a rank: the same for the worker that runs it and for `weft check`, which foretells it.
#pragma once

#include "core/config/config.h"
#include "engine/model/runner_spec.h"

namespace weft::worker {

// Without device and groups. `kv_memory` is what the plan gives the rank.
engine::RunnerSpec runner_spec(const Config& config, const engine::ModelConfig& model, engine::RankPosition position,
                               Bytes kv_memory);

}  // namespace weft::worker
