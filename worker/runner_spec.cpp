#include "worker/runner_spec.h"

namespace weft::worker {

engine::RunnerSpec runner_spec(const Config& config, const engine::ModelConfig& model, engine::RankPosition position,
                               Bytes kv_memory) {
  return {.model_directory = config.model.path,
          .dtype = config.model.dtype.value_or(model.shape.dtype),
          .max_context = config.model.max_context,
          .position = position,
          .block_size = config.engine.block_size,
          .max_batch_tokens = config.engine.max_batch_tokens,
          .max_requests = config.engine.max_requests,
          .kv_memory = kv_memory};
}

void plan_threads(PluginOptions& device_options, int threads) {
  for (auto& [key, value] : device_options.values)
    if (key == "threads" && std::holds_alternative<std::int64_t>(value) && std::get<std::int64_t>(value) == 0)
      value = std::int64_t{threads};
}

}  // namespace weft::worker
