#include "engine/sample/top_p.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "engine/sample/dense.h"

namespace weft::engine {
namespace {

struct Weighted {
  double weight = 0;
  TokenId id = 0;

  // The order of the nucleus: falling weight, rising id.
  friend bool operator<(const Weighted& a, const Weighted& b) noexcept {
    return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
  }
};

// Candidates in order: those before the nucleus' last member were counted in `sum`, it is among `members`. Where rounding
// leaves none, the last of them.
Weighted last_of_nucleus(std::vector<Weighted>& members, double sum, double wanted) {
  std::sort(members.begin(), members.end());
  for (const Weighted& member : members) {
    sum += member.weight;
    if (sum >= wanted) return member;
  }
  return members.back();
}

// Buckets of weights from 1 down, 64 to an octave: the leading bits of an IEEE double, which rise with its value.
std::size_t bucket_of(double weight) noexcept {
  return static_cast<std::size_t>((std::bit_cast<std::uint64_t>(1.0) - std::bit_cast<std::uint64_t>(weight)) >> 46);
}

}  // namespace

void keep_nucleus(std::vector<TokenId>& ids, std::vector<double>& weights, double top_p) {
  if (weights.empty()) return;
  constexpr std::size_t few = 128;
  const double total = sum_of(weights);
  const double wanted = top_p * total;
  // All candidates below this weight together weigh less than 1 - top_p of the total, so none of them is needed.
  double floor = 0.999999 * (1 - top_p) * total / static_cast<double>(weights.size());
  const auto each = [&](auto visit) {
    for_each_at_least(
        std::span<const double>(weights), [&] { return floor; },
        [&](std::size_t i, double weight) { visit(weight, ids.empty() ? static_cast<TokenId>(i) : ids[i]); });
  };

  // The bucket in which the sum passes what is wanted; only its members need an order.
  double sum = 0;
  std::size_t bucket = 0;
  if (weights.size() > few) {
    std::vector<double> mass(bucket_of(floor) + 1, 0.0);
    each([&](double weight, TokenId) { mass[bucket_of(weight)] += weight; });
    while (bucket + 1 < mass.size() && sum + mass[bucket] < wanted)
      sum += mass[bucket++];
  }
  std::vector<Weighted> members;
  each([&](double weight, TokenId id) {
    if (weights.size() <= few || bucket_of(weight) == bucket) members.push_back({.weight = weight, .id = id});
  });
  // Rounding can leave the last bucket empty and the sum short of it by a hair: then all are in.
  const Weighted last = members.empty() ? Weighted{.weight = floor, .id = std::numeric_limits<TokenId>::max()}
                                        : last_of_nucleus(members, sum, wanted);
  floor = last.weight;
  std::size_t kept = 0;
  std::vector<TokenId> kept_ids;
  each([&](double weight, TokenId id) {
    if (weight == last.weight && id > last.id) return;
    kept_ids.push_back(id);
    weights[kept++] = weight;
  });
  weights.resize(kept);
  ids = std::move(kept_ids);
}

}  // namespace weft::engine
