#include <limits>

#include "engine/model/model_config.h"
#include "engine/model/runner_spec.h"
#include "engine/model/tensor_list.h"
#include "engine/weights/json_file.h"
#include "tests/fuzz/fuzz_targets.h"
#include "tests/fuzz/targets/promise.h"

namespace weft::fuzz {
namespace {

void check_sizes(const engine::ModelConfig& config) {
  for (const std::int32_t value : {config.shape.hidden, config.shape.layers, config.shape.query_heads,
                                   config.shape.kv_heads, config.shape.head_dim, config.shape.vocabulary})
    promise(value > 0, "a size below 1");
  promise(config.decoder.layers.size() == static_cast<std::size_t>(config.shape.layers), "layers without a spec");
  for (const engine::LayerSpec& layer : config.decoder.layers)
    promise(layer.rope >= -1 && layer.rope < static_cast<std::int32_t>(config.decoder.ropes.size()), "no such rope");
  for (const TokenId id : config.end_ids)
    promise(id >= 0 && id < config.shape.vocabulary, "an end id beyond the vocabulary");
  for (const std::int32_t tensor : {1, 2}) {
    const auto estimate = engine::estimate_memory(
        config, {.model_directory = "", .position = {.tp_size = tensor}, .max_batch_tokens = 64, .max_requests = 4},
        1024);
    if (!estimate) promise_message(estimate.error());
  }
  if (config.shape.layers > 64) return;  // names of a thousand layers teach nothing more
  for (const auto& [name, shape] : engine::expected_tensors(config))
    for (const std::int64_t dimension : shape)
      promise(!name.empty() && dimension > 0, "a tensor without a name or a size");
}

}  // namespace

void fuzz_config(Input input) {
  const std::string_view text = as_text(input);
  const std::size_t divide = text.find('\0');
  const auto config = engine::parse_json_object(text.substr(0, divide), "config.json");
  if (!config) return promise_message(config.error());
  nlohmann::json generation;
  if (divide != std::string_view::npos) {
    auto second = engine::parse_json_object(text.substr(divide + 1), "generation_config.json");
    if (!second) return promise_message(second.error());
    generation = std::move(*second);
  }
  const auto model = engine::parse_model_config(*config, generation.is_null() ? nullptr : &generation);
  if (!model) return promise_message(model.error());
  check_sizes(*model);
}

}  // namespace weft::fuzz
