#include "engine/model/weight_count.h"

#include "engine/model/tensor_list.h"

namespace weft::engine {

WeightCount count_weights(const ModelConfig& config) {
  const ModelShape& shape = config.shape;
  const std::int64_t hidden = shape.hidden;
  const std::int64_t query = std::int64_t{shape.query_heads} * shape.head_dim;
  const std::int64_t kv = std::int64_t{shape.kv_heads} * shape.head_dim;
  const std::int64_t mlp_matrices = config.decoder.gated_mlp ? 3 : 2;
  WeightCount count{.head = std::int64_t{shape.vocabulary} * hidden};
  for (std::int32_t layer = 0; layer < shape.layers; ++layer) {
    const std::int64_t attention = hidden * (query + 2 * kv) + query * hidden;
    count.layers += attention;
    count.stored += attention;
    if (has_experts(config, layer)) {
      const std::int64_t router = hidden * shape.experts;
      const std::int64_t expert = mlp_matrices * hidden * shape.intermediate;
      count.layers += router + expert * shape.experts_per_token;
      count.stored += router + expert * shape.experts;
    } else {
      const std::int64_t mlp = mlp_matrices * hidden * dense_columns(config);
      count.layers += mlp;
      count.stored += mlp;
    }
  }
  return count;
}

}  // namespace weft::engine
