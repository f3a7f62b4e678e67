// Weights as the kernels read them: `linear` in panels (kernels.h), the others row by row.
#pragma once

#include <memory>

#include "kernels/common/checks.h"
#include "kernels/common/host_memory.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/thread_pool.h"

namespace weft {

class CpuWeight final : public Weight {
 public:
  // Matrices are stored in the type they are computed in; where that is f32 in the checkpoint's, which f32 holds exactly.
  // Vectors, tables and biases are f32. Panels are packed by the pool's threads.
  static Result<std::unique_ptr<CpuWeight>> load(std::span<const WeightPart> parts, const WeightSpec& spec,
                                                 ThreadPool& pool);

  std::int64_t rows() const noexcept override { return shape_.rows; }
  std::int64_t columns() const noexcept override { return shape_.columns; }
  Bytes bytes() const noexcept override { return data_.size() + bias_.size(); }

  const WeightShape& shape() const noexcept { return shape_; }
  DType type() const noexcept { return type_; }
  std::int64_t panels() const noexcept { return (shape_.rows + panel_width - 1) / panel_width; }
  const void* panel(std::int64_t index) const noexcept { return at(index * shape_.columns * panel_width); }
  // [panels() * panel_width]; null: none.
  const float* bias() const noexcept { return bias_.as<const float>(); }
  // Of a weight that is not linear.
  const void* row(std::int64_t index) const noexcept { return at(index * shape_.columns); }
  const float* f32_row(std::int64_t index) const noexcept { return static_cast<const float*>(row(index)); }

 private:
  const std::byte* at(std::int64_t element) const noexcept {
    return data_.as<const std::byte>() + element * static_cast<std::int64_t>(size_of(type_));
  }

  WeightShape shape_;
  DType type_ = DType::f32;
  HostMemory data_;
  HostMemory bias_;
};

}  // namespace weft
