// Paged keys and values as the attention kernels read them: [layers][blocks][kv_heads] tiles (kernels.h).
#pragma once

#include <memory>

#include "kernels/common/checks.h"
#include "kernels/common/host_memory.h"
#include "kernels/cpu/kernels.h"

namespace weft {

class CpuKvCache final : public KvCache {
 public:
  static Bytes block_bytes(const KvSpec& spec) noexcept;
  static Result<std::unique_ptr<CpuKvCache>> create(const KvSpec& spec, std::int32_t blocks);

  std::int32_t blocks() const noexcept override { return shape_.blocks; }
  Bytes bytes() const noexcept override { return memory_.size(); }

  const CacheShape& shape() const noexcept { return shape_; }
  const TileShape& tiles() const noexcept { return tiles_; }
  void* layer(std::int32_t index) const noexcept;
  // A token's key and value of one head, [head_dim] f32 each, to its slot.
  void append(std::int32_t layer, std::int32_t slot, std::int32_t kv_head, const float* key,
              const float* value) noexcept;

 private:
  CpuKvCache(const KvSpec& spec, std::int32_t blocks, HostMemory memory) noexcept
      : shape_{.spec = spec, .blocks = blocks}, tiles_(spec), memory_(std::move(memory)) {}

  CacheShape shape_;
  TileShape tiles_;
  HostMemory memory_;
};

}  // namespace weft
