// Bytes in a ring that two ranks share: one writes, one reads, each with a counter of the bytes so far.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "weft/buffer.h"

namespace weft::comm_shm {

struct Ring {
  std::byte* memory = nullptr;
  Bytes size = 0;

  // Copies to or from where the count of bytes `at` lies; at most `size` bytes.
  void write(Bytes at, const void* from, Bytes bytes) const noexcept {
    const Bytes begin = at % size, first = std::min(bytes, size - begin);
    if (first != 0) std::memcpy(memory + begin, from, first);
    if (bytes != first) std::memcpy(memory, static_cast<const std::byte*>(from) + first, bytes - first);
  }
  void read(Bytes at, void* to, Bytes bytes) const noexcept {
    const Bytes begin = at % size, first = std::min(bytes, size - begin);
    if (first != 0) std::memcpy(to, memory + begin, first);
    if (bytes != first) std::memcpy(static_cast<std::byte*>(to) + first, memory, bytes - first);
  }
};

// What travels in a mail ring, before the bytes of a small message. Letters begin at multiples of their own size.
struct Letter {
  std::uint32_t tag = 0;
  std::uint32_t number = 0;  // of a large message, from 1; 0: the bytes follow
  Bytes bytes = 0;           // of the message
};
static_assert(sizeof(Letter) == 16);

// Room that a letter takes in the ring.
constexpr Bytes letter_room(Bytes payload) noexcept { return sizeof(Letter) + (payload + 15) / 16 * 16; }
// Messages up to this length travel in the mail ring.
constexpr Bytes small_message(Bytes ring) noexcept { return ring / 4 - sizeof(Letter); }

}  // namespace weft::comm_shm
