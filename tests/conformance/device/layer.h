// Sequences over one layer of a paged cache, step by step: rope_and_append, then attention, with what is right beside it.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tests/conformance/device/bench.h"

namespace weft::conformance {

struct LayerShape {
  std::int32_t query_heads = 2;
  std::int32_t kv_heads = 1;
  std::int32_t head_dim = 16;
  std::int32_t rotary_dim = 0;  // 0: no table
  bool head_norms = false;
  float norm_offset = 0;
  float scale = 0.25f;
  float soft_cap = 0;
  std::int32_t window = 0;
  std::int32_t block_size = 4;
  std::int32_t sequences = 1;
  std::int32_t longest = 40;  // tokens of a sequence
  DType type = DType::f32;
  std::optional<DType> cache_type = std::nullopt;  // none: `type`
  std::int32_t layers = 1;
  std::int64_t gap = 0;

  std::int64_t width() const { return std::int64_t{query_heads + 2 * kv_heads} * head_dim; }
  std::int64_t out_width() const { return std::int64_t{query_heads} * head_dim; }
};

// What a step is made of; tests of refusals spoil one thing of it.
struct StepBuffers {
  PagedBatch batch;
  std::vector<std::unique_ptr<Indices>> indices;  // positions, slots, row_starts, context_lengths, block_tables
  std::vector<std::int32_t> positions;
};

class Layer {
 public:
  Layer(const Bench& bench, const LayerShape& shape, std::int32_t layer = 0);
  // Another layer of the same cache.
  Layer(const Layer& first, std::int32_t layer);

  struct Outcome {
    Matrix qkv;       // as rope_and_append left it
    Expected turned;  // what it should be
    Matrix out;
    Expected attended;
    std::vector<std::byte> qkv_bytes, out_bytes;
    bool outside_intact = true;
  };
  // `rows` new tokens of each sequence, 0 too. `qkv`: their inputs, one below the other; null: random ones.
  Outcome step(const std::vector<std::int32_t>& rows, const Matrix* qkv = nullptr);

  // Sequence `to` is told to have the same blocks as `from` for its first `tokens`, whole blocks of them.
  void share(std::int32_t from, std::int32_t to, std::int32_t tokens);
  // Forgets what a sequence holds; its blocks are used anew.
  void restart(std::int32_t sequence);

  StepBuffers buffers(const std::vector<std::int32_t>& rows) const;
  RopeArgs rope(const Tensor& qkv, const PagedBatch& batch) const;
  AttentionArgs attention(const Tensor& qkv, const Tensor& out, const PagedBatch& batch) const;
  const LayerShape& shape() const { return shape_; }
  KvCache& cache() const { return *cache_; }

 private:
  void remember(const std::vector<std::int32_t>& rows, const Matrix& left);
  Expected attended(const std::vector<std::int32_t>& rows, const Matrix& left) const;
  void make_weights();

  const Bench& bench_;
  LayerShape shape_;
  std::int32_t layer_;
  std::int32_t max_blocks_;
  std::shared_ptr<KvCache> cache_;                 // shared by the layers of one cache
  std::vector<std::vector<std::int32_t>> blocks_;  // of each sequence, in order
  std::vector<std::int32_t> held_;                 // tokens of each sequence
  std::vector<Matrix> keys_, values_;              // of each sequence: [longest, Hkv * D]
  Matrix table_values_, query_values_, key_values_;
  std::unique_ptr<Weight> table_, query_norm_, key_norm_;
};

}  // namespace weft::conformance
