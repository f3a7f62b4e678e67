#include "plugins/comm_shm/segment.h"

#include <fmt/format.h>

namespace weft::comm_shm {
namespace {

static_assert(sizeof(SlotHeader) <= line);
static_assert(sizeof(Channel) == 2 * line);

constexpr Bytes page = 4096;
constexpr Bytes max_heap = Bytes{1} << 40;
constexpr Bytes max_memory = Bytes{1} << 34;
constexpr Bytes min_ring = 1024;

Bytes up(Bytes bytes, Bytes unit) { return (bytes + unit - 1) / unit * unit; }
Bytes down(Bytes bytes, Bytes unit) { return bytes / unit * unit; }

}  // namespace

Result<Layout> Layout::make(std::int32_t size, Bytes memory, Bytes heap) {
  if (size > max_ranks)
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} ranks, but a group in shared memory has at most {}", size, max_ranks));
  if (memory > max_memory || heap > max_heap)
    return fail(ErrorCode::invalid_argument,
                fmt::format("memory = {} and allocate_memory = {}, expected at most {} and {} bytes", memory, heap,
                            max_memory, max_heap));
  const auto ranks = static_cast<Bytes>(size);
  const Bytes head = line + up(ranks * sizeof(PartEntry), line);
  const Bytes least = 4 * (head + line * ranks) + 4 * (min_ring + line) * ranks;
  if (memory < least)
    return fail(ErrorCode::invalid_argument,
                fmt::format("memory = {} bytes, but a group of {} ranks needs at least {}", memory, size, least));
  // One half for the two slots of collectives, one for messages: a ring of mail and one of bulk to each peer.
  Layout layout;
  layout.size = size;
  layout.slot_data = down(memory / 4 - head, line);
  layout.slot_stride = head + layout.slot_data;
  layout.mail = down(memory / 8 / ranks, line);
  layout.bulk = down(memory * 3 / 8 / ranks, line);
  layout.heap = up(heap, page);
  layout.channels_at = up(sizeof(RankControl), line);
  layout.slots_at = up(layout.channels_at + ranks * sizeof(Channel), page);
  layout.mail_at = layout.slots_at + 2 * layout.slot_stride;
  layout.bulk_at = layout.mail_at + ranks * layout.mail;
  layout.heap_at = up(layout.bulk_at + ranks * layout.bulk, page);
  layout.stride = layout.heap_at + layout.heap;
  return layout;
}

}  // namespace weft::comm_shm
