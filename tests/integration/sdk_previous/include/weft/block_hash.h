// The chain of hashes that names prefixes of a prompt, block by block. Router and engine compute the same chain, so a
// balancer can tell which replica holds a prefix without seeing its cache.
//
// hash(0) = mix(seed, tokens of block 0); hash(i) = mix(hash(i-1), tokens of block i). Only full blocks have a hash.
// Not cryptographic: 64 bits against chance, not against an attacker; an engine that shares blocks compares tokens too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "weft/request.h"

namespace weft {

using BlockHash = std::uint64_t;

inline constexpr BlockHash block_hash_seed = 0x77656674'626c6f63;  // "weftbloc"

// One link of the chain. MurmurHash3's 64-bit finaliser over each token; any thread.
constexpr BlockHash next_block_hash(BlockHash previous, std::span<const TokenId> block) noexcept {
  std::uint64_t hash = previous;
  for (const TokenId token : block) {
    hash = (hash ^ static_cast<std::uint32_t>(token)) + 0x9E3779B97F4A7C15u;
    hash = (hash ^ (hash >> 33)) * 0xFF51AFD7ED558CCDu;
    hash = (hash ^ (hash >> 33)) * 0xC4CEB9FE1A85EC53u;
    hash ^= hash >> 33;
  }
  return hash;
}

// The hashes of every full block of `block_size` tokens (at least 1); empty where no block is full.
inline std::vector<BlockHash> block_hashes(std::span<const TokenId> tokens, std::size_t block_size) {
  std::vector<BlockHash> hashes;
  hashes.reserve(tokens.size() / block_size);
  BlockHash hash = block_hash_seed;
  for (std::size_t at = 0; at + block_size <= tokens.size(); at += block_size)
    hashes.push_back(hash = next_block_hash(hash, tokens.subspan(at, block_size)));
  return hashes;
}

}  // namespace weft
