// The shared memory of one group: where everything in it lies, and what it is.
//
// Each rank has an area of the same shape, one behind the other:
//   RankControl | a Channel to each rank | two slots | mail to each rank | bulk to each rank | heap (what allocate() gives)
// A rank writes its own area; of others' it writes the counters of what it has taken, and their bells.
//
// What another process writes is never trusted: offsets and lengths read from here are checked before they are used, so
// that a peer that dies while it scribbles cannot take this rank with it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "plugins/common/call.h"
#include "weft/buffer.h"
#include "weft/status.h"

namespace weft::comm_shm {

inline constexpr std::size_t line = 64;  // bytes of a cache line
inline constexpr std::int32_t max_ranks = 128;
inline constexpr std::size_t max_reason = 1024;

enum class State : std::uint32_t { absent = 0, open = 1, closed = 2, broken = 3 };

// What a sleeping rank waits for: see RankControl::waiting_for.
inline constexpr std::uint32_t for_nobody = 0;
inline constexpr std::uint32_t for_anybody = ~std::uint32_t{0};  // else the rank + 1

struct RankControl {
  // How many rounds this rank has entered (lockstep.h). The one line that peers watch.
  alignas(line) std::atomic<std::uint64_t> posted;
  // A rank sleeps on its bell. Whoever does something that it may wait for looks whether it sleeps, and rings.
  alignas(line) std::atomic<std::uint32_t> bell;
  std::atomic<std::uint32_t> waiting_for;
  alignas(line) std::atomic<State> state;
  std::uint32_t reason_bytes;  // why it is broken; written before the state
  std::array<char, max_reason> reason;
  std::array<std::uint64_t, 16> cpus;  // bit i: logical CPU i; written before the state
};

// From one rank to another, in the area of the one that sends. All count up for ever, in bytes.
struct Channel {
  alignas(line) std::atomic<std::uint64_t> mailed;  // by the sender: into the mail ring
  std::atomic<std::uint64_t> pushed;                // into the bulk ring
  alignas(line) std::atomic<std::uint64_t> taken;   // by the receiver: out of the mail ring
  std::atomic<std::uint64_t> pulled;                // out of the bulk ring
  std::atomic<std::uint64_t> granted;               // the number of the bulk message that it takes now; 0: none yet
};

struct SlotHeader {
  plugins::Call call;
  std::uint64_t direct;   // not_direct, or where in the heap the rank's data lies instead of in its slots
  std::uint64_t longest;  // all_to_all: bytes of the longest part that the rank gives
};
inline constexpr std::uint64_t not_direct = ~std::uint64_t{0};

// all_to_all: where a rank's part for another lies in its data.
struct PartEntry {
  std::uint64_t offset;
  std::uint64_t bytes;
};

// A copy of what others may write at any time; what is checked afterwards is what is used, because the compiler may not
// read it again.
template <class T>
T copy_out(const T& shared) noexcept {
  T copy = shared;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return copy;
}

// Sizes and places, the same for all ranks. All in bytes.
struct Layout {
  std::int32_t size = 0;  // ranks
  Bytes slot_data = 0;    // of one slot
  Bytes mail = 0;         // of one ring
  Bytes bulk = 0;
  Bytes heap = 0;         // of one rank
  Bytes channels_at = 0;  // in an area
  Bytes slots_at = 0;
  Bytes slot_stride = 0;
  Bytes mail_at = 0;
  Bytes bulk_at = 0;
  Bytes heap_at = 0;  // a page's beginning: what lies before it is committed when the group opens
  Bytes stride = 0;   // of areas
  Bytes total() const noexcept { return stride * static_cast<Bytes>(size); }

  // `memory`: for slots and rings of one rank. invalid_argument: too little for so many ranks, or too many ranks.
  static Result<Layout> make(std::int32_t size, Bytes memory, Bytes heap);
};

// A view; the memory is somebody else's, zeroed before the first use, and at least layout.total() bytes.
class Segment {
 public:
  Segment(std::byte* base, const Layout& layout) : base_(base), layout_(layout) {}

  const Layout& layout() const noexcept { return layout_; }
  RankControl& control(std::int32_t rank) const noexcept { return *at<RankControl>(rank, 0); }
  Channel& channel(std::int32_t from, std::int32_t to) const noexcept {
    return *at<Channel>(from, layout_.channels_at + index(to) * sizeof(Channel));
  }
  SlotHeader& slot(std::int32_t rank, int which) const noexcept { return *at<SlotHeader>(rank, slot_at(which)); }
  PartEntry* slot_parts(std::int32_t rank, int which) const noexcept {
    return at<PartEntry>(rank, slot_at(which) + line);
  }
  std::byte* slot_data(std::int32_t rank, int which) const noexcept {
    return at<std::byte>(rank, slot_at(which) + layout_.slot_stride - layout_.slot_data);
  }
  std::byte* mail(std::int32_t from, std::int32_t to) const noexcept {
    return at<std::byte>(from, layout_.mail_at + index(to) * layout_.mail);
  }
  std::byte* bulk(std::int32_t from, std::int32_t to) const noexcept {
    return at<std::byte>(from, layout_.bulk_at + index(to) * layout_.bulk);
  }
  std::byte* heap(std::int32_t rank) const noexcept { return at<std::byte>(rank, layout_.heap_at); }

 private:
  static Bytes index(std::int32_t rank) noexcept { return static_cast<Bytes>(rank); }
  Bytes slot_at(int which) const noexcept { return layout_.slots_at + static_cast<Bytes>(which) * layout_.slot_stride; }
  template <class T>
  T* at(std::int32_t rank, Bytes offset) const noexcept {
    return reinterpret_cast<T*>(base_ + index(rank) * layout_.stride + offset);
  }

  std::byte* base_;
  Layout layout_;
};

}  // namespace weft::comm_shm
