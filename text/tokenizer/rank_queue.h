// Queues of byte-pair encoding's merges: pairs of (rank, position), the least first.
//
// RankQueue is for long pieces. A rank's positions lie together and are sorted once, when its turn comes. Merges that were learned in their order make pairs of higher ranks
// only, so that a push is O(1) and, but for that sort, so is a pop; a pair that a file ranks below the merge that made it goes
// through a heap.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace weft::text {

struct RankedPosition {
  std::uint32_t rank = 0;
  std::uint32_t position = 0;
};

// As a heap: O(log n) a push and a pop.
class RankHeap {
 public:
  bool empty() const noexcept { return entries_.empty(); }
  void push(RankedPosition entry) {
    entries_.push_back((std::uint64_t{entry.rank} << 32) | entry.position);
    std::push_heap(entries_.begin(), entries_.end(), std::greater<>{});
  }
  // The least; the heap is not empty.
  RankedPosition least() const noexcept {
    return {static_cast<std::uint32_t>(entries_.front() >> 32), static_cast<std::uint32_t>(entries_.front())};
  }
  // The least, taken out; nothing where the heap is empty.
  std::optional<RankedPosition> pop() {
    if (entries_.empty()) return std::nullopt;
    const RankedPosition taken = least();
    std::pop_heap(entries_.begin(), entries_.end(), std::greater<>{});
    entries_.pop_back();
    return taken;
  }
  static std::optional<std::uint32_t> ahead(std::size_t) noexcept { return std::nullopt; }  // as RankQueue's: not known

 private:
  std::vector<std::uint64_t> entries_;  // rank and position in one
};

class RankQueue {
 public:
  using Entry = RankedPosition;

  // Ranks are below `ranks`. The queue is empty; memory is kept from piece to piece.
  void begin(std::size_t ranks);
  void push(Entry entry);
  // The least, taken out; nothing where the queue is empty.
  std::optional<Entry> pop();
  // A position that pop() gives so many pops from now if nothing lower comes; nothing near the end of a rank.
  std::optional<std::uint32_t> ahead(std::size_t pops) const noexcept {
    return next_ + pops < open_.size() ? std::optional(open_[next_ + pops]) : std::nullopt;
  }

 private:
  static constexpr std::int32_t none = -1;
  // Positions of one rank in the order in which they came; 64 bytes.
  struct Chunk {
    std::int32_t next = none;
    std::uint32_t count = 0;
    std::uint32_t positions[14] = {};
  };
  struct Ends {
    std::int32_t first = none;
    std::int32_t last = none;
  };

  std::int32_t new_chunk();
  bool open_lowest();

  std::vector<Ends> ranks_;
  // Which ranks have chunks: a bit a rank, then a bit for each word of the level below that is not 0.
  std::vector<std::vector<std::uint64_t>> levels_;
  std::vector<Chunk> chunks_;
  std::vector<std::int32_t> free_;
  bool opened_ = false;
  std::uint32_t rank_ = 0;           // of open_; all chunks are of higher ones
  std::vector<std::uint32_t> open_;  // ascending
  std::size_t next_ = 0;             // in open_
  RankHeap late_;                    // none of a rank above rank_
};

}  // namespace weft::text
