#include "engine/sample/logprobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "engine/sample/dense.h"

namespace weft::engine {

Result<TokenLogprobs> logprobs_of(std::span<const float> logits, TokenId token, std::int32_t best_count) {
  constexpr double lowest = -std::numeric_limits<double>::infinity();
  TokenLogprobs result{.token = {.id = token, .logprob = lowest}, .best = {}};
  const auto largest = static_cast<double>(largest_of(logits));
  if (!std::isfinite(largest))
    return fail(ErrorCode::data_loss,
                fmt::format("the largest of {} logits is {}, expected a finite number: the model's output is broken "
                            "(damaged weights, or an overflow of its dtype)",
                            logits.size(), largest));
  const double normaliser = largest + std::log(sum_of_exp(logits, largest));
  const auto logprob = [&](std::size_t id) { return static_cast<double>(logits[id]) - normaliser; };
  const auto at = static_cast<std::size_t>(token);
  if (token >= 0 && at < logits.size()) result.token.logprob = logprob(at);
  const std::size_t count = std::min(logits.size(), static_cast<std::size_t>(std::max(best_count, 0)));
  if (count == 0) return result;
  // The best so far, best first; a newcomer that equals the last has a higher id and stays out.
  std::vector<std::size_t> best;
  const auto better = [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; };
  double floor = lowest;
  for_each_at_least(
      logits, [&] { return floor; },
      [&](std::size_t id, float) {
        if (best.size() == count) {
          if (!better(id, best.back())) return;
          best.pop_back();
        }
        best.insert(std::upper_bound(best.begin(), best.end(), id, better), id);
        if (best.size() == count) floor = static_cast<double>(logits[best.back()]);
      });
  for (const std::size_t id : best)
    result.best.push_back({.id = static_cast<TokenId>(id), .logprob = logprob(id)});
  return result;
}

}  // namespace weft::engine
