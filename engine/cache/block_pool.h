// The blocks of a replica's paged KV cache and how many sequences hold each. One thread at a time; no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace weft::engine {

using BlockId = std::int32_t;  // 0 .. capacity - 1; the device's KV memory is indexed by it

class BlockPool {
 public:
  // A pool of `capacity` free blocks; none where it is negative.
  explicit BlockPool(std::int32_t capacity);

  // A free block, now held once; nothing where all are in use. The block freed last comes first: its memory is warm.
  std::optional<BlockId> allocate();

  // One more holder of a block that is in use. False, and nothing changes, for a block that is not.
  bool share(BlockId block);

  // One holder fewer; without holders the block is free. False, and nothing changes, for a block that is not in use.
  bool release(BlockId block);

  // Holders of a block; 0 for a free one and for an id outside the pool.
  std::int32_t references(BlockId block) const noexcept;

  std::int32_t capacity() const noexcept { return static_cast<std::int32_t>(references_.size()); }
  std::int32_t free() const noexcept { return static_cast<std::int32_t>(free_.size()); }
  std::int32_t used() const noexcept { return capacity() - free(); }

 private:
  bool in_use(BlockId block) const noexcept;

  std::vector<std::int32_t> references_;  // by block
  std::vector<BlockId> free_;             // a stack
};

// Blocks that hold positions 0 .. positions - 1. `block_size` at least 1; negative positions need none.
constexpr std::int32_t blocks_for(std::int32_t positions, std::int32_t block_size) noexcept {
  return positions <= 0 ? 0 : (positions - 1) / block_size + 1;
}

}  // namespace weft::engine
