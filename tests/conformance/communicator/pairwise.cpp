#include "tests/conformance/communicator/pairwise.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace weft::conformance {
namespace {

// Which pairs have stood in a row: one table for each two factors.
class Pairs {
 public:
  explicit Pairs(const std::vector<std::size_t>& levels) : levels_(levels), tables_(levels.size() * levels.size()) {
    for (std::size_t first = 0; first < levels.size(); ++first)
      for (std::size_t second = first + 1; second < levels.size(); ++second) {
        table(first, second).assign(levels[first] * levels[second], false);
        left_ += levels[first] * levels[second];
      }
  }

  std::size_t left() const noexcept { return left_; }
  bool covered(std::size_t first, std::size_t a, std::size_t second, std::size_t b) const {
    if (first > second) return covered(second, b, first, a);
    return tables_[first * levels_.size() + second][a * levels_[second] + b];
  }
  void cover(const Row& row) {
    for (std::size_t first = 0; first < row.size(); ++first)
      for (std::size_t second = first + 1; second < row.size(); ++second) {
        auto entry = table(first, second)[row[first] * levels_[second] + row[second]];
        if (!entry) --left_;
        entry = true;
      }
  }
  // Two factors and values that have not met, those of the lowest factors first.
  std::pair<std::pair<std::size_t, std::size_t>, std::pair<std::size_t, std::size_t>> first_uncovered() const {
    for (std::size_t first = 0; first < levels_.size(); ++first)
      for (std::size_t second = first + 1; second < levels_.size(); ++second)
        for (std::size_t a = 0; a < levels_[first]; ++a)
          for (std::size_t b = 0; b < levels_[second]; ++b)
            if (!covered(first, a, second, b)) return {{first, a}, {second, b}};
    return {};
  }

 private:
  std::vector<bool>& table(std::size_t first, std::size_t second) { return tables_[first * levels_.size() + second]; }

  const std::vector<std::size_t>& levels_;
  std::vector<std::vector<bool>> tables_;
  std::size_t left_ = 0;
};

// The value of `factor` that meets the most values of the factors that are set for the first time. Where several do, they take
// turns by `turn`.
std::size_t best_value(const Pairs& pairs, const std::vector<std::optional<std::size_t>>& set, std::size_t factor,
                       std::size_t levels, std::size_t turn) {
  std::size_t best = turn % levels;
  std::size_t most = 0;
  for (std::size_t step = 0; step < levels; ++step) {
    const std::size_t value = (turn + step) % levels;
    std::size_t gain = 0;
    for (std::size_t other = 0; other < set.size(); ++other)
      if (other != factor && set[other] && !pairs.covered(factor, value, other, *set[other])) ++gain;
    if (gain > most) {
      most = gain;
      best = value;
    }
  }
  return best;
}

}  // namespace

std::vector<Row> pairwise(const std::vector<std::size_t>& levels) {
  if (levels.size() < 2) return product(levels);
  Pairs pairs(levels);
  std::vector<Row> rows;
  while (pairs.left() > 0) {
    std::vector<std::optional<std::size_t>> set(levels.size());
    const auto [one, other] = pairs.first_uncovered();
    set[one.first] = one.second;
    set[other.first] = other.second;
    for (std::size_t factor = 0; factor < levels.size(); ++factor)
      if (!set[factor]) set[factor] = best_value(pairs, set, factor, levels[factor], rows.size());
    Row row;
    for (const auto& value : set)
      row.push_back(*value);
    pairs.cover(row);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<Row> product(const std::vector<std::size_t>& levels) {
  std::vector<Row> rows{{}};
  for (const std::size_t count : levels) {
    std::vector<Row> longer;
    for (const Row& row : rows)
      for (std::size_t value = 0; value < count; ++value) {
        longer.push_back(row);
        longer.back().push_back(value);
      }
    rows = std::move(longer);
  }
  return rows;
}

}  // namespace weft::conformance
