#include "text/tokenizer/rank_queue.h"

#include <algorithm>
#include <bit>

namespace weft::text {
namespace {

constexpr std::size_t word_bits = 64;

}  // namespace

void RankQueue::begin(std::size_t ranks) {
  opened_ = false;
  open_.clear();
  next_ = 0;
  if (!levels_.empty() && ranks_.size() == ranks) return;  // popped to the end, it is clean
  ranks_.assign(ranks, {});
  levels_.clear();
  for (std::size_t size = std::max<std::size_t>(ranks, 1); levels_.empty() || size > 1;) {
    size = (size + word_bits - 1) / word_bits;
    levels_.emplace_back(size, 0);
  }
}

std::int32_t RankQueue::new_chunk() {
  if (free_.empty()) {
    chunks_.emplace_back();
    return static_cast<std::int32_t>(chunks_.size() - 1);
  }
  const std::int32_t chunk = free_.back();
  free_.pop_back();
  chunks_[static_cast<std::size_t>(chunk)] = {};
  return chunk;
}

void RankQueue::push(Entry entry) {
  if (opened_ && entry.rank <= rank_) {
    late_.push(entry);
    return;
  }
  Ends& ends = ranks_[entry.rank];
  if (ends.first == none) {
    ends.first = ends.last = new_chunk();
    std::size_t bit = entry.rank;
    for (auto& level : levels_) {
      level[bit / word_bits] |= std::uint64_t{1} << (bit % word_bits);
      bit /= word_bits;
    }
  } else if (chunks_[static_cast<std::size_t>(ends.last)].count == std::size(Chunk{}.positions)) {
    const std::int32_t added = new_chunk();
    chunks_[static_cast<std::size_t>(ends.last)].next = added;
    ends.last = added;
  }
  Chunk& chunk = chunks_[static_cast<std::size_t>(ends.last)];
  chunk.positions[chunk.count++] = entry.position;
}

bool RankQueue::open_lowest() {
  if (levels_.back()[0] == 0) return false;
  std::size_t bit = 0;
  for (auto level = levels_.rbegin(); level != levels_.rend(); ++level)
    bit = bit * word_bits + static_cast<std::size_t>(std::countr_zero((*level)[bit]));
  rank_ = static_cast<std::uint32_t>(bit);
  opened_ = true;
  for (auto& level : levels_) {
    std::uint64_t& word = level[bit / word_bits];
    word &= ~(std::uint64_t{1} << (bit % word_bits));
    if (word != 0) break;
    bit /= word_bits;
  }
  open_.clear();
  next_ = 0;
  for (std::int32_t at = ranks_[rank_].first; at != none;) {
    const Chunk& chunk = chunks_[static_cast<std::size_t>(at)];
    open_.insert(open_.end(), chunk.positions, chunk.positions + chunk.count);
    free_.push_back(at);
    at = chunk.next;
  }
  ranks_[rank_] = {};
  if (!std::is_sorted(open_.begin(), open_.end())) std::sort(open_.begin(), open_.end());
  return true;
}

std::optional<RankQueue::Entry> RankQueue::pop() {
  if (next_ == open_.size() && late_.empty() && !open_lowest()) return std::nullopt;
  const auto is_least = [this](std::uint32_t position) {
    if (late_.empty()) return true;
    const Entry late = late_.least();
    return rank_ < late.rank || (rank_ == late.rank && position <= late.position);
  };
  if (next_ < open_.size() && is_least(open_[next_])) return Entry{rank_, open_[next_++]};
  return late_.pop();
}

}  // namespace weft::text
