// The random numbers of sampling, and the map from a draw to a token, defined once, so that a replayed request draws
// the same tokens on any replica, in any batch.
//
// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a counter-based
// generator; key = seed, counter = (choice, absolute index of the sampled token in prompt + emitted).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weft {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

// Ten rounds; pure.
constexpr PhiloxCounter philox4x32_10(PhiloxCounter counter, PhiloxKey key) noexcept {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// The uniform draw in [0, 1) for one sampled token: 53 bits of the first two words, so every value is exact.
constexpr double uniform_draw(std::uint64_t seed, std::int32_t choice, std::int64_t position) noexcept {
  const auto at = static_cast<std::uint64_t>(position);
  const PhiloxCounter words = philox4x32_10(
      {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at >> 32), static_cast<std::uint32_t>(choice), 0},
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  const std::uint64_t bits = (std::uint64_t{words[0]} << 32 | words[1]) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

// The index drawn: the first i, in the order of `weights`, whose running sum exceeds draw * total. Weights are not
// negative and need not sum to 1; candidates stand in ascending token id, so the map does not depend on how a sampler
// found them. Returns the last index with a positive weight where rounding leaves none, and 0 for no weights.
constexpr std::size_t index_of_draw(std::span<const double> weights, double draw) noexcept {
  double total = 0;
  for (const double weight : weights)
    total += weight;
  const double target = draw * total;
  double sum = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0) last = i;
    sum += weights[i];
    if (sum > target && weights[i] > 0) return i;
  }
  return last;
}

}  // namespace weft
