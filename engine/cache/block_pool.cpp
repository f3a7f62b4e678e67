#include "engine/cache/block_pool.h"

#include <algorithm>
#include <cstddef>

namespace weft::engine {

BlockPool::BlockPool(std::int32_t capacity) : references_(static_cast<std::size_t>(std::max(capacity, 0)), 0) {
  free_.reserve(references_.size());
  for (BlockId block = this->capacity() - 1; block >= 0; --block)
    free_.push_back(block);
}

bool BlockPool::in_use(BlockId block) const noexcept {
  return block >= 0 && block < capacity() && references_[static_cast<std::size_t>(block)] > 0;
}

std::optional<BlockId> BlockPool::allocate() {
  if (free_.empty()) return std::nullopt;
  const BlockId block = free_.back();
  free_.pop_back();
  references_[static_cast<std::size_t>(block)] = 1;
  return block;
}

bool BlockPool::share(BlockId block) {
  if (!in_use(block)) return false;
  ++references_[static_cast<std::size_t>(block)];
  return true;
}

bool BlockPool::release(BlockId block) {
  if (!in_use(block)) return false;
  if (--references_[static_cast<std::size_t>(block)] == 0) free_.push_back(block);
  return true;
}

std::int32_t BlockPool::references(BlockId block) const noexcept {
  return in_use(block) ? references_[static_cast<std::size_t>(block)] : 0;
}

}  // namespace weft::engine
