#include "engine/sample/top_p.h"

#include <algorithm>
#include <cstddef>

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

// The last member of the nucleus: quickselect by sums of weights instead of counts; what is small is sorted.
Weighted last_of_nucleus(std::span<Weighted> candidates, double wanted) {
  constexpr std::size_t small = 128;
  double sum = 0;  // of all that stand before `candidates`
  while (candidates.size() > small) {
    const auto middle = candidates.begin() + static_cast<std::ptrdiff_t>(candidates.size() / 2);
    std::nth_element(candidates.begin(), middle, candidates.end());
    double half = 0;
    for (auto at = candidates.begin(); at != middle; ++at)
      half += at->weight;
    const auto split = static_cast<std::size_t>(middle - candidates.begin());
    if (sum + half >= wanted) {
      candidates = candidates.first(split);
    } else {
      sum += half;
      candidates = candidates.subspan(split);
    }
  }
  std::sort(candidates.begin(), candidates.end());
  for (const Weighted& candidate : candidates) {
    sum += candidate.weight;
    if (sum >= wanted) return candidate;
  }
  return candidates.back();
}

}  // namespace

void keep_nucleus(std::vector<TokenId>& ids, std::vector<double>& weights, double top_p) {
  if (weights.empty()) return;
  const double total = sum_of(weights);
  const double wanted = top_p * total;
  // All candidates below this weight together weigh at most 1 - top_p of the total, so none of them is needed.
  const double floor = 0.999999 * (1 - top_p) * total / static_cast<double>(weights.size());
  std::vector<Weighted> candidates;
  for_each_at_least(
      std::span<const double>(weights), [&] { return floor; },
      [&](std::size_t i, double weight) {
        candidates.push_back({.weight = weight, .id = ids.empty() ? static_cast<TokenId>(i) : ids[i]});
      });
  std::vector<Weighted> scratch = candidates;
  const Weighted last = last_of_nucleus(scratch, wanted);
  ids.clear();
  weights.clear();
  for (const Weighted& candidate : candidates) {
    if (last < candidate) continue;
    ids.push_back(candidate.id);
    weights.push_back(candidate.weight);
  }
}

}  // namespace weft::engine
