// Weights and caches as this device keeps them, and how they are made.
#pragma once

#include <weft/device.h>

#include <memory>

namespace weft::mutant {

class Matrix final : public Weight {
 public:
  std::int64_t rows() const noexcept override { return row_count; }
  std::int64_t columns() const noexcept override { return column_count; }
  Bytes bytes() const noexcept override;
  double at(std::int64_t row, std::int64_t column) const;

  WeightUse use = WeightUse::linear;
  DType compute = DType::f32;
  std::int64_t row_count = 0;
  std::int64_t column_count = 0;
  std::vector<float> values;
  std::vector<float> biases;   // one a row, or none
  const void* kept = nullptr;  // of the parts, by a mutant
};

// Keys and values, [layers, 2, blocks, block_size, kv_heads, head_dim], in the cache's type.
class Cache final : public KvCache {
 public:
  Cache(const KvSpec& spec, std::int32_t blocks);
  std::int32_t blocks() const noexcept override { return block_count; }
  Bytes bytes() const noexcept override;
  // `slot`: block * block_size + offset. `values`: 0 for a key's element, 1 for a value's.
  std::int64_t index(std::int32_t layer, int values, std::int64_t slot, std::int64_t element) const;
  double get(std::int32_t layer, int values, std::int64_t slot, std::int64_t element) const;
  void set(std::int32_t layer, int values, std::int64_t slot, std::int64_t element, double value);

  const KvSpec spec;
  const std::int32_t block_count;
  std::vector<std::byte> data;
  std::vector<std::int32_t> owners;  // of each block, by a mutant
};

Bytes bytes_of_block(const KvSpec& spec) noexcept;
Result<std::unique_ptr<Weight>> make_weight(std::span<const WeightPart> parts, const WeightSpec& spec);
Result<std::unique_ptr<KvCache>> make_cache(const KvSpec& spec, std::int32_t blocks);

}  // namespace weft::mutant
