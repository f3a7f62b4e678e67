#include "kernels/cpu/cpu_cache.h"

namespace weft {
namespace {

template <class T>
void put(T* tile, const TileShape& tiles, std::int64_t offset, std::int32_t head_dim, const float* key,
         const float* value) {
  T* values = tile + tiles.values_at + offset * tiles.value_stride;
  for (std::int32_t i = 0; i < head_dim; ++i) {
    tile[i * tiles.key_stride + offset] = from_f32<T>(key[i]);
    values[i] = from_f32<T>(value[i]);
  }
}

}  // namespace

Bytes CpuKvCache::block_bytes(const KvSpec& spec) noexcept {
  return static_cast<Bytes>(spec.layers) * static_cast<Bytes>(spec.kv_heads) *
         static_cast<Bytes>(TileShape(spec).size) * size_of(spec.type);
}

Result<std::unique_ptr<CpuKvCache>> CpuKvCache::create(const KvSpec& spec, std::int32_t blocks) {
  WEFT_TRY(check_cache(spec, blocks));
  WEFT_ASSIGN(memory, HostMemory::allocate(block_bytes(spec) * static_cast<Bytes>(blocks)));
  return std::unique_ptr<CpuKvCache>(new CpuKvCache(spec, blocks, std::move(memory)));
}

void* CpuKvCache::layer(std::int32_t index) const noexcept {
  const std::int64_t elements = index * std::int64_t{shape_.blocks} * tiles_.kv_heads * tiles_.size;
  return memory_.as<std::byte>() + elements * static_cast<std::int64_t>(size_of(shape_.spec.type));
}

void CpuKvCache::append(std::int32_t layer_index, std::int32_t slot, std::int32_t kv_head, const float* key,
                        const float* value) noexcept {
  const std::int64_t block = slot / tiles_.block_size;
  const std::int64_t tile = tiles_.offset(block, kv_head);
  const std::int64_t offset = slot - block * tiles_.block_size;
  const std::int32_t head_dim = shape_.spec.head_dim;
  switch (shape_.spec.type) {
    case DType::f16: put(static_cast<f16*>(layer(layer_index)) + tile, tiles_, offset, head_dim, key, value); break;
    case DType::bf16: put(static_cast<bf16*>(layer(layer_index)) + tile, tiles_, offset, head_dim, key, value); break;
    default: put(static_cast<float*>(layer(layer_index)) + tile, tiles_, offset, head_dim, key, value);
  }
}

}  // namespace weft
