// Matrices as the reference device sees them: element by element, whatever their type.
#pragma once

#include "kernels/common/checks.h"
#include "kernels/common/host_memory.h"
#include "weft/device.h"

namespace weft {

// `value` rounded once to `type`, as f32. The two 16-bit types are narrower than f32 in range and precision
// alike, so that the way over f32 is off by more than one rounding only where a double lies within 2^-29 of a
// tie.
float round_to(DType type, double value) noexcept;

// Element `index` of an array of a float type.
float load_element(const void* data, DType type, std::int64_t index) noexcept;
void store_element(void* data, DType type, std::int64_t index, double value) noexcept;

inline float load(const TensorView& view, std::int64_t row, std::int64_t column) noexcept {
  return load_element(view.buffer.data, view.type, row * view.stride() + column);
}
inline void store(const TensorView& view, std::int64_t row, std::int64_t column, double value) noexcept {
  store_element(view.buffer.data, view.type, row * view.stride() + column, value);
}

class ReferenceWeight final : public Weight {
 public:
  // Reads the parts; vectors and tables keep f32, the others are rounded to `compute`.
  static Result<std::unique_ptr<ReferenceWeight>> load(std::span<const WeightPart> parts, const WeightSpec& spec);

  std::int64_t rows() const noexcept override { return shape_.rows; }
  std::int64_t columns() const noexcept override { return shape_.columns; }
  Bytes bytes() const noexcept override { return values_.size() + bias_.size(); }

  const WeightShape& shape() const noexcept { return shape_; }
  const float* row(std::int64_t index) const noexcept { return values_.as<const float>() + index * shape_.columns; }
  double bias(std::int64_t row) const noexcept { return shape_.bias ? bias_.as<const float>()[row] : 0.0; }

 private:
  WeightShape shape_;
  HostMemory values_;  // f32 [rows, columns]
  HostMemory bias_;    // f32 [rows]
};

class ReferenceKvCache final : public KvCache {
 public:
  static Bytes block_bytes(const KvSpec& spec) noexcept;
  static Result<std::unique_ptr<ReferenceKvCache>> create(const KvSpec& spec, std::int32_t blocks);

  std::int32_t blocks() const noexcept override { return shape_.blocks; }
  Bytes bytes() const noexcept override { return values_.size(); }

  const CacheShape& shape() const noexcept { return shape_; }
  // The f32 [head_dim] of one head at one slot of one layer.
  float* key(std::int32_t layer, std::int64_t slot, std::int32_t head) const noexcept {
    return at(layer, 0, slot, head);
  }
  float* value(std::int32_t layer, std::int64_t slot, std::int32_t head) const noexcept {
    return at(layer, 1, slot, head);
  }

 private:
  float* at(std::int32_t layer, std::int32_t which, std::int64_t slot, std::int32_t head) const noexcept;

  CacheShape shape_;
  HostMemory values_;  // f32 [layers, keys and values, blocks * block_size, kv_heads, head_dim]
};

}  // namespace weft
