#include "engine/model/rank_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "engine/model/rope.h"
#include "engine/model/tensor_list.h"

namespace weft::engine {
namespace {

using WeightPointer = std::unique_ptr<Weight>;

// A matrix of the checkpoint as f32, times `by`.
std::vector<float> scaled(const void* data, DType type, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                          double by) {
  const auto value = [&](std::int64_t at) {
    switch (type) {
      case DType::bf16: return to_f32(static_cast<const bf16*>(data)[at]);
      case DType::f16: return to_f32(static_cast<const f16*>(data)[at]);
      default: return static_cast<const float*>(data)[at];
    }
  };
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(rows * columns));
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; ++column)
      out.push_back(static_cast<float>(value(row * stride + column) * by));
  return out;
}

class Loader {
 public:
  Loader(const Checkpoint& checkpoint, const ModelConfig& config, const RankShape& rank, const RunnerSpec& spec,
         std::int32_t positions)
      : config_(config), rank_(rank), spec_(spec), positions_(positions), reader_(checkpoint) {}

  Result<RankWeights> load() {
    RankWeights out;
    const TensorNames& names = config_.decoder.names;
    if (rank_.first_stage) {
      WEFT_ASSIGN(embedding, vocabulary("embedding", names.embedding, WeightUse::embedding));
      out.embedding = std::move(embedding);
    }
    for (std::int64_t layer = rank_.layers.first; layer < rank_.layers.end(); ++layer) {
      WEFT_ASSIGN(weights, load_layer(layer));
      out.layers.push_back(std::move(weights));
    }
    if (rank_.last_stage) {
      WEFT_ASSIGN(norm, vector(names.final_norm, config_.shape.hidden));
      WEFT_ASSIGN(head,
                  vocabulary("head", config_.shape.tied_embeddings ? names.embedding : names.head, WeightUse::linear));
      out.final_norm = std::move(norm);
      out.head = std::move(head);
    }
    for (const RopeSpec& rope : config_.decoder.ropes) {
      WEFT_ASSIGN(table, load_rope(rope));
      out.ropes.push_back(std::move(table));
    }
    out.hash = reader_.hash();
    out.bytes = bytes_;
    return out;
  }

 private:
  Result<WeightPointer> put(std::string name, WeightUse use, std::span<const WeightPart> parts) {
    const WeightSpec weight{.name = std::move(name), .use = use, .compute = spec_.dtype};
    WEFT_ASSIGN_CONTEXT(loaded, spec_.device->load_weight(parts, weight), "model: " + weight.name);
    bytes_ += loaded->bytes();
    return loaded;
  }

  Result<WeightPointer> vector(const std::string& tensor, std::int64_t size) {
    if (tensor.empty()) return WeightPointer{};
    WEFT_ASSIGN(part, reader_.vector(tensor, size));
    return put(tensor, WeightUse::vector, std::span(&part, 1));
  }

  // A slice of a vector as f32 in host memory.
  Result<std::vector<float>> host_vector(const std::string& tensor, std::int64_t size, Slice slice) {
    WEFT_ASSIGN(part, reader_.vector(tensor, size, slice));
    std::vector<float> values = scaled(part.data, part.type, 1, part.columns, part.columns, 1);
    bytes_ += values.size() * sizeof(float);
    return values;
  }

  // This rank's ids of the embedding or of the head.
  Result<WeightPointer> vocabulary(const char* name, const std::string& tensor, WeightUse use) {
    const MatrixPlace place{.tensor = tensor, .tensor_rows = config_.shape.vocabulary, .columns = config_.shape.hidden};
    WEFT_ASSIGN(part, reader_.rows(place, rank_.vocabulary));
    return put(name, use, std::span(&part, 1));
  }

  // Column-parallel: this rank's rows of several matrices that are read together.
  struct Rows {
    const MatrixPlace* place;
    Slice slice;
  };
  template <std::size_t n>
  Result<WeightPointer> column_parallel(std::string name, const std::array<Rows, n>& matrices, bool bias) {
    std::array<WeightPart, n> parts;
    for (std::size_t i = 0; i < n; ++i) {
      const auto& [place, slice] = matrices[i];
      WEFT_ASSIGN(part, reader_.rows(*place, slice));
      if (bias)
        WEFT_TRY(reader_.add_bias(part, bias_name(place->tensor), place->tensor_rows,
                                  {place->first_row + slice.first, slice.count}));
      parts[i] = part;
    }
    return put(std::move(name), WeightUse::linear, parts);
  }

  // Row-parallel: this rank's columns; ranks' results are summed, so the bias is the first rank's alone.
  Result<WeightPointer> row_parallel(std::string name, const MatrixPlace& place, Slice columns, bool bias) {
    const std::int64_t rows = config_.shape.hidden;
    WEFT_ASSIGN(part, reader_.columns(place, rows, columns));
    if (bias && rank_.position.tp_rank == 0)
      WEFT_TRY(reader_.add_bias(part, bias_name(place.tensor), place.tensor_rows, {place.first_row, rows}));
    // The last matrix of a branch: a branch that is scaled is one whose last matrix is.
    const double scale = config_.decoder.residual_scale;
    if (scale == 1) return put(std::move(name), WeightUse::linear, std::span(&part, 1));
    const std::vector<float> matrix = scaled(part.data, part.type, part.rows, part.columns, part.row_stride, scale);
    std::vector<float> bias_values;
    if (part.bias != nullptr) bias_values = scaled(part.bias, part.type, 1, part.rows, part.rows, scale);
    part = {.data = matrix.data(),
            .type = DType::f32,
            .rows = part.rows,
            .columns = part.columns,
            .bias = part.bias == nullptr ? nullptr : bias_values.data()};
    return put(std::move(name), WeightUse::linear, std::span(&part, 1));
  }

  Result<LayerWeights> load_layer(std::int64_t layer) {
    const DecoderSpec& decoder = config_.decoder;
    const TensorNames& names = decoder.names;
    const LayerPlaces places = layer_places(config_, layer);
    const std::int64_t head_dim = config_.shape.head_dim;
    const auto rows_of = [&](Slice heads) { return Slice{heads.first * head_dim, heads.count * head_dim}; };
    const auto name = [&](const char* part) { return fmt::format("layers.{}.{}", layer, part); };
    LayerWeights out;
    const auto load_vector = [&](WeightPointer& to, const std::string& tensor, std::int64_t size) -> Status {
      WEFT_ASSIGN(loaded, vector(layer_name(tensor, layer), size));
      to = std::move(loaded);
      return {};
    };
    WEFT_TRY(load_vector(out.attention_norm, names.attention_norm, config_.shape.hidden));
    WEFT_TRY(load_vector(out.attention_post_norm, names.attention_post_norm, config_.shape.hidden));
    WEFT_TRY(load_vector(out.mlp_norm, names.mlp_norm, config_.shape.hidden));
    WEFT_TRY(load_vector(out.mlp_post_norm, names.mlp_post_norm, config_.shape.hidden));
    const Slice queries = rows_of(rank_.query_heads), keys = rows_of(rank_.kv_heads);
    if (decoder.qk_norm == QkNorm::full) {
      const ModelShape& shape = config_.shape;
      WEFT_ASSIGN(query, host_vector(layer_name(names.query_norm, layer), shape.query_heads * head_dim, queries));
      WEFT_ASSIGN(key, host_vector(layer_name(names.key_norm, layer), shape.kv_heads * head_dim, keys));
      const std::int32_t sharers = std::max(1, rank_.position.tp_size / shape.kv_heads);
      out.full_norm = {std::move(query), std::move(key), rank_.position.tp_rank % sharers == 0};
    } else {
      WEFT_TRY(load_vector(out.query_norm, names.query_norm, head_dim));
      WEFT_TRY(load_vector(out.key_norm, names.key_norm, head_dim));
    }

    WEFT_ASSIGN(qkv, column_parallel(
                         name("qkv"),
                         std::array<Rows, 3>{{{&places.query, queries}, {&places.key, keys}, {&places.value, keys}}},
                         decoder.qkv_bias));
    WEFT_ASSIGN(output, row_parallel(name("output"), places.output, queries, decoder.output_bias));
    out.qkv = std::move(qkv);
    out.output = std::move(output);
    WEFT_TRY(load_mlps(layer, out));
    return out;
  }

  Status load_mlps(std::int64_t layer, LayerWeights& out) {
    if (!has_experts(config_, layer)) {
      const Slice columns = rank_.share_of(dense_columns(config_));
      if (columns.count < 1)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("model: tensor = {} is more than the width of the MLP in layer {}, {}",
                                rank_.position.tp_size, layer, dense_columns(config_)));
      WEFT_ASSIGN(mlp, load_mlp(fmt::format("layers.{}", layer), mlp_places(config_, layer), columns));
      out.mlp = std::move(mlp);
      return {};
    }
    const MatrixPlace place = router_place(config_, layer);
    WEFT_ASSIGN(part, reader_.rows(place, {0, config_.shape.experts}));
    WEFT_ASSIGN(router, put(fmt::format("layers.{}.router", layer), WeightUse::linear, std::span(&part, 1)));
    out.router = std::move(router);
    for (std::int32_t expert = 0; expert < config_.shape.experts; ++expert) {
      WEFT_ASSIGN(mlp, load_mlp(fmt::format("layers.{}.experts.{}", layer, expert),
                                expert_places(config_, layer, expert), rank_.intermediate));
      out.experts.push_back(std::move(mlp));
    }
    return {};
  }

  Result<MlpWeights> load_mlp(const std::string& name, const MlpPlaces& places, Slice columns) {
    const bool bias = config_.decoder.mlp_bias;
    WEFT_ASSIGN(gate_up, column_parallel(name + ".gate_up",
                                         std::array<Rows, 2>{{{&places.gate, columns}, {&places.up, columns}}}, bias));
    WEFT_ASSIGN(down, row_parallel(name + ".down", places.down, columns, bias));
    return MlpWeights{.gate_up = std::move(gate_up), .down = std::move(down)};
  }

  Result<WeightPointer> load_rope(const RopeSpec& rope) {
    try {
      const std::vector<float> table = rope_table(rope, positions_);
      const WeightPart part{.data = table.data(), .type = DType::f32, .rows = positions_, .columns = rope.dimensions};
      return put("rope", WeightUse::table, std::span(&part, 1));
    } catch (const std::bad_alloc&) {
      return fail(
          ErrorCode::resource_exhausted,
          fmt::format("model: no memory for a rope table of {} positions; set a smaller max_context", positions_));
    }
  }

  const ModelConfig& config_;
  const RankShape& rank_;
  const RunnerSpec& spec_;
  std::int32_t positions_;
  ShardReader reader_;
  Bytes bytes_ = 0;
};

}  // namespace

Result<RankWeights> load_rank_weights(const Checkpoint& checkpoint, const ModelConfig& config, const RankShape& rank,
                                      const RunnerSpec& spec, std::int32_t positions) {
  try {
    return Loader(checkpoint, config, rank, spec, positions).load();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::resource_exhausted, "model: no memory for a matrix while it is made ready");
  }
}

}  // namespace weft::engine
