// Two hash tables that are filled once and then only read: open addressing, a power of two, half full at
// most. They are most of a tokenizer's time; std::unordered_map costs about three times as much here.
#pragma once

#include <xxhash.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "weft/request.h"

namespace weft::text {

// Strings (which must outlive the table) to ids; -1 is "not there".
class StringTable {
 public:
  void reserve(std::size_t count) {
    if (std::bit_ceil(2 * count + 16) > slots_.size()) rehash(std::bit_ceil(2 * count + 16));
  }
  // The last one wins where a key comes twice.
  void insert(std::string_view key, TokenId id) {
    reserve(count_ + 1);
    Slot& slot = slots_[find_slot(key)];
    if (slot.id < 0) ++count_;
    slot = {key.data(), static_cast<std::uint32_t>(key.size()), id};
  }
  TokenId find(std::string_view key) const noexcept { return slots_.empty() ? -1 : slots_[find_slot(key)].id; }
  std::size_t size() const noexcept { return count_; }

 private:
  struct Slot {
    const char* data = nullptr;
    std::uint32_t size = 0;
    TokenId id = -1;
    std::string_view key() const noexcept { return {data, size}; }
  };

  std::size_t find_slot(std::string_view key) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = XXH3_64bits(key.data(), key.size()) & mask;
    while (slots_[at].id >= 0 && slots_[at].key() != key)
      at = (at + 1) & mask;
    return at;
  }
  void rehash(std::size_t size) {
    std::vector<Slot> old(size);
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.id >= 0) slots_[find_slot(slot.key())] = slot;
  }

  std::vector<Slot> slots_;
  std::size_t count_ = 0;
};

// Pairs of ids to a number; `none` is "not there".
class PairTable {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFFu;

  void reserve(std::size_t count) {
    if (std::bit_ceil(2 * count + 16) > slots_.size()) rehash(std::bit_ceil(2 * count + 16));
  }
  void insert(TokenId left, TokenId right, std::uint32_t value) {
    reserve(count_ + 1);
    Slot& slot = slots_[find_slot(key_of(left, right))];
    if (slot.value == none) ++count_;
    slot = {key_of(left, right), value};
  }
  std::uint32_t find(TokenId left, TokenId right) const noexcept {
    return slots_.empty() ? none : slots_[find_slot(key_of(left, right))].value;
  }

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint32_t value = none;
  };

  static std::uint64_t key_of(TokenId left, TokenId right) noexcept {
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
  }
  std::size_t find_slot(std::uint64_t key) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    std::uint64_t hash = key * 0x9E3779B97F4A7C15u;  // Fibonacci hashing; the high bits are the mixed ones
    std::size_t at = (hash ^ (hash >> 32)) & mask;
    while (slots_[at].value != none && slots_[at].key != key)
      at = (at + 1) & mask;
    return at;
  }
  void rehash(std::size_t size) {
    std::vector<Slot> old(size);
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.value != none) slots_[find_slot(slot.key)] = slot;
  }

  std::vector<Slot> slots_;
  std::size_t count_ = 0;
};

}  // namespace weft::text
