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
  MatrixPlace gate, up;           // [intermediate, hidden]
  MatrixPlace down;               // [hidden, intermediate]
};
LayerPlaces layer_places(const ModelConfig& config, std::int64_t layer);

// "model.layers.{}.x" -> "model.layers.3.x".
std::string layer_name(const std::string& name, std::int64_t layer);
// "x.weight" -> "x.bias".
std::string bias_name(const std::string& weight);

// Name -> shape of every tensor of a dense decoder.
std::map<std::string, std::vector<std::int64_t>> expected_tensors(const ModelConfig& config);

// Names every tensor that is missing, of another shape or type, or there without a use: the first five of
// each.
Status check_tensors(const Checkpoint& checkpoint, const ModelConfig& config);

}  // namespace weft::engine
