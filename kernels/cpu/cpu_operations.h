// device.h's operations for checked arguments: each cuts its work into parts for the pool. resource_exhausted if there
// is no memory for scratch; nothing has been written then.
#pragma once

#include "kernels/cpu/cpu_cache.h"
#include "kernels/cpu/cpu_weight.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/thread_pool.h"

namespace weft {

class CpuOperations {
 public:
  explicit CpuOperations(std::unique_ptr<ThreadPool> pool)
      : pool_(std::move(pool)), linear_(linear_kernels()), rows_(row_kernels()), attention_(attention_kernels()) {}

  ThreadPool& pool() noexcept { return *pool_; }
  int threads() const noexcept { return pool_->threads(); }
  const RowKernels& row_kernels_in_use() const noexcept { return rows_; }

  Status embed(const EmbedArgs& args, const CpuWeight& table);
  Status rms_norm(const NormArgs& args, const CpuWeight& weight);
  Status linear(const LinearArgs& args, const CpuWeight& weight);
  // Null: none.
  struct RopeTables {
    const CpuWeight* table = nullptr;
    const CpuWeight* query_norm = nullptr;
    const CpuWeight* key_norm = nullptr;
  };
  Status rope_and_append(const RopeArgs& args, const RopeTables& tables, CpuKvCache& cache);
  Status attention(const AttentionArgs& args, const CpuKvCache& cache);
  void gather_rows(const TensorView& in, const Buffer& rows, const TensorView& out);
  Status argmax(const TensorView& logits, const Buffer& ids, const Buffer& values);

 private:
  // f32 that live until the next call; kept from operation to operation.
  Result<float*> scratch(std::int64_t elements);
  // function(row, thread) for each of `rows` rows, on all threads where `elements` of a row make that worth while.
  template <class Function>
  void for_each_row(std::int64_t rows, std::int64_t elements, Function&& function);
  // `in` as f32 rows that a kernel may read at `stride`, in `to` unless they are so already.
  const float* activations(const TensorView& in, float* to, std::int64_t& stride);
  void multiply(const LinearPart& all, const CpuWeight& weight, float* thread_scratch);
  void rope_row(const RopeArgs& args, const RopeTables& tables, CpuKvCache& cache, std::int32_t row, float* heads);

  std::unique_ptr<ThreadPool> pool_;
  const LinearKernels& linear_;
  const RowKernels& rows_;
  const AttentionKernels& attention_;
  HostMemory scratch_;
};

}  // namespace weft
