#include "tests/conformance/device/layer.h"

#include <algorithm>
#include <numeric>

namespace weft::conformance {

Layer::Layer(const Bench& bench, const LayerShape& shape, std::int32_t layer)
    : bench_(bench),
      shape_(shape),
      layer_(layer),
      max_blocks_((shape.longest + shape.block_size - 1) / shape.block_size),
      blocks_(static_cast<std::size_t>(shape.sequences)),
      held_(static_cast<std::size_t>(shape.sequences)),
      keys_(static_cast<std::size_t>(shape.sequences),
            Matrix(shape.longest, std::int64_t{shape.kv_heads} * shape.head_dim)),
      values_(keys_) {
  const std::int32_t count = max_blocks_ * shape.sequences + 2;
  cache_ = bench.context().take(bench->create_kv_cache({.layers = shape.layers,
                                                        .kv_heads = shape.kv_heads,
                                                        .head_dim = shape.head_dim,
                                                        .block_size = shape.block_size,
                                                        .type = shape.cache_type.value_or(shape.type)},
                                                       count),
                                "create_kv_cache");
  std::vector<std::int32_t> free(static_cast<std::size_t>(count));
  std::iota(free.begin(), free.end(), 0);
  std::shuffle(free.begin(), free.end(), bench.context().random());
  for (std::vector<std::int32_t>& blocks : blocks_)
    for (std::int32_t i = 0; i < max_blocks_; ++i) {
      blocks.push_back(free.back());
      free.pop_back();
    }
  make_weights();
}

Layer::Layer(const Layer& first, std::int32_t layer)
    : bench_(first.bench_),
      shape_(first.shape_),
      layer_(layer),
      max_blocks_(first.max_blocks_),
      cache_(first.cache_),
      blocks_(first.blocks_),
      held_(first.held_.size()),
      keys_(first.keys_),
      values_(first.values_) {
  make_weights();
}

void Layer::make_weights() {
  query_values_ = bench_.random(DType::f32, 1, shape_.head_dim, 0.5, 1.5);
  key_values_ = bench_.random(DType::f32, 1, shape_.head_dim, 0.5, 1.5);
  if (shape_.head_norms) {
    query_norm_ = bench_.vector(query_values_);
    key_norm_ = bench_.vector(key_values_);
  }
  if (shape_.rotary_dim == 0) return;
  table_values_ = rope_table(shape_.longest, shape_.rotary_dim);
  table_ = bench_.weight(WeightUse::table, DType::f32, DType::f32, table_values_);
}

StepBuffers Layer::buffers(const std::vector<std::int32_t>& rows) const {
  std::vector<std::int32_t> slots, starts{0}, lengths, tables;
  StepBuffers made;
  for (std::size_t s = 0; s < rows.size(); ++s) {
    const std::int32_t context = held_[s] + rows[s];
    for (std::int32_t at = held_[s]; at < context; ++at) {
      made.positions.push_back(at);
      slots.push_back(blocks_[s][static_cast<std::size_t>(at / shape_.block_size)] * shape_.block_size +
                      at % shape_.block_size);
    }
    starts.push_back(starts.back() + rows[s]);
    lengths.push_back(context);
    for (std::int32_t i = 0; i < max_blocks_; ++i)  // past the context lies no block: it is not read
      tables.push_back(i * shape_.block_size < context ? blocks_[s][static_cast<std::size_t>(i)] : -1);
  }
  for (const auto* values : {&made.positions, &slots, &starts, &lengths, &tables})
    made.indices.push_back(std::make_unique<Indices>(bench_, *values));
  made.batch = {.tokens = starts.back(),
                .sequences = static_cast<std::int32_t>(rows.size()),
                .max_blocks = max_blocks_,
                .positions = made.indices[0]->buffer(),
                .slots = made.indices[1]->buffer(),
                .row_starts = made.indices[2]->buffer(),
                .context_lengths = made.indices[3]->buffer(),
                .block_tables = made.indices[4]->buffer()};
  return made;
}

RopeArgs Layer::rope(const Tensor& qkv, const PagedBatch& batch) const {
  return {.qkv = qkv.view(),
          .query_heads = shape_.query_heads,
          .kv_heads = shape_.kv_heads,
          .head_dim = shape_.head_dim,
          .table = table_.get(),
          .rotary_dim = shape_.rotary_dim,
          .query_norm = query_norm_.get(),
          .key_norm = key_norm_.get(),
          .weight_offset = shape_.norm_offset,
          .batch = batch,
          .cache = cache_.get(),
          .layer = layer_};
}

AttentionArgs Layer::attention(const Tensor& qkv, const Tensor& out, const PagedBatch& batch) const {
  return {.qkv = qkv.view(),
          .out = out.view(),
          .query_heads = shape_.query_heads,
          .kv_heads = shape_.kv_heads,
          .head_dim = shape_.head_dim,
          .scale = shape_.scale,
          .soft_cap = shape_.soft_cap,
          .window = shape_.window,
          .batch = batch,
          .cache = cache_.get(),
          .layer = layer_};
}

Layer::Outcome Layer::step(const std::vector<std::int32_t>& rows, const Matrix* given) {
  const StepBuffers made = buffers(rows);
  const Matrix in = given != nullptr ? *given : bench_.random(shape_.type, made.batch.tokens, shape_.width(), -2, 2);
  const Tensor qkv(bench_, shape_.type, in, shape_.gap);
  const Tensor out = Tensor::zeros(bench_, shape_.type, made.batch.tokens, shape_.out_width(), shape_.gap);
  bench_.ok(bench_->rope_and_append(rope(qkv, made.batch), bench_.stream()), "rope_and_append");
  bench_.ok(bench_->attention(attention(qkv, out, made.batch), bench_.stream()), "attention");
  Outcome outcome{.qkv = qkv.values(),
                  .turned = {},
                  .out = out.values(),
                  .attended = {},
                  .qkv_bytes = qkv.bytes(),
                  .out_bytes = out.bytes()};
  outcome.turned = right_rope(in,
                              {.query_heads = shape_.query_heads,
                               .kv_heads = shape_.kv_heads,
                               .head_dim = shape_.head_dim,
                               .rotary_dim = shape_.rotary_dim,
                               .epsilon = double{RopeArgs{}.epsilon},
                               .offset = double{shape_.norm_offset}},
                              made.positions, table_values_, shape_.head_norms ? &query_values_ : nullptr,
                              shape_.head_norms ? &key_values_ : nullptr);
  remember(rows, outcome.qkv);
  outcome.attended = attended(rows, outcome.qkv);
  for (std::size_t s = 0; s < rows.size(); ++s)
    held_[s] += rows[s];
  outcome.outside_intact = qkv.outside_intact() && out.outside_intact();
  for (const auto& indices : made.indices)
    outcome.outside_intact = outcome.outside_intact && indices->outside_intact();
  return outcome;
}

// The cache holds the keys and values as qkv has them afterwards, in its own type.
void Layer::remember(const std::vector<std::int32_t>& rows, const Matrix& left) {
  const DType type = shape_.cache_type.value_or(shape_.type);
  const std::int64_t keys_at = shape_.out_width();
  const std::int64_t width = std::int64_t{shape_.kv_heads} * shape_.head_dim;
  std::int64_t row = 0;
  for (std::size_t s = 0; s < rows.size(); ++s)
    for (std::int32_t i = 0; i < rows[s]; ++i, ++row)
      for (std::int64_t column = 0; column < width; ++column) {
        keys_[s].at(held_[s] + i, column) = rounded(type, left.at(row, keys_at + column));
        values_[s].at(held_[s] + i, column) = rounded(type, left.at(row, keys_at + width + column));
      }
}

Expected Layer::attended(const std::vector<std::int32_t>& rows, const Matrix& left) const {
  Expected out(left.rows, shape_.out_width());
  const AttentionShape shape{.query_heads = shape_.query_heads,
                             .kv_heads = shape_.kv_heads,
                             .head_dim = shape_.head_dim,
                             .scale = double{shape_.scale},
                             .soft_cap = double{shape_.soft_cap},
                             .window = shape_.window};
  std::int64_t row = 0;
  for (std::size_t s = 0; s < rows.size(); ++s)
    for (std::int32_t i = 0; i < rows[s]; ++i, ++row)
      right_attention(
          std::span<const double>(left.values)
              .subspan(static_cast<std::size_t>(row * left.columns), static_cast<std::size_t>(shape_.out_width())),
          held_[s] + i, keys_[s], values_[s], shape, row, out);
  return out;
}

void Layer::share(std::int32_t from, std::int32_t to, std::int32_t tokens) {
  const auto source = static_cast<std::size_t>(from);
  const auto target = static_cast<std::size_t>(to);
  std::copy_n(blocks_[source].begin(), tokens / shape_.block_size, blocks_[target].begin());
  held_[target] = tokens;
  keys_[target] = keys_[source];
  values_[target] = values_[source];
}

void Layer::restart(std::int32_t sequence) { held_[static_cast<std::size_t>(sequence)] = 0; }

}  // namespace weft::conformance
