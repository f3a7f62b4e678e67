// The tensors that a ModelConfig says its checkpoint has.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/model/model_config.h"
#include "engine/weights/checkpoint.h"
#include "engine/weights/shard.h"
#include "weft/status.h"

namespace weft::engine {

// Where a layer's matrices lie. Rows and columns are the whole model's, not a rank's.
struct LayerPlaces {
  MatrixPlace query, key, value;  // [heads * head_dim, hidden]
  MatrixPlace output;             // [hidden, query_heads * head_dim]
};
LayerPlaces layer_places(const ModelConfig& config, std::int64_t layer);

struct MlpPlaces {
  MatrixPlace gate, up;  // [columns, hidden]
  MatrixPlace down;      // [hidden, columns]
};
// Of a layer without experts, and of one expert of a layer with experts.
MlpPlaces mlp_places(const ModelConfig& config, std::int64_t layer);
MlpPlaces expert_places(const ModelConfig& config, std::int64_t layer, std::int64_t expert);
MatrixPlace router_place(const ModelConfig& config, std::int64_t layer);  // [experts, hidden]

// Columns of the MLP of a layer without experts.
std::int64_t dense_columns(const ModelConfig& config) noexcept;
bool has_experts(const ModelConfig& config, std::int64_t layer) noexcept;

// "model.layers.{}.x" -> "model.layers.3.x".
std::string layer_name(const std::string& name, std::int64_t layer);
// "x.weight" -> "x.bias".
std::string bias_name(const std::string& weight);

// Name -> shape of every tensor.
std::map<std::string, std::vector<std::int64_t>> expected_tensors(const ModelConfig& config);

// Names every tensor that is missing, of another shape or type, or there without a use: the first five of
// each.
Status check_tensors(const Checkpoint& checkpoint, const ModelConfig& config);

}  // namespace weft::engine
