#include "engine/model/expert_routing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace weft::engine {

void ExpertRouting::begin(std::int32_t experts, std::int32_t per_token, bool normalize) {
  experts_ = experts;
  per_token_ = per_token;
  normalize_ = normalize;
  choices_.clear();
}

void ExpertRouting::add(std::span<const float> logits) {
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0);
  const auto at = [&](std::int32_t expert) {
    const float logit = logits[static_cast<std::size_t>(expert)];
    return std::isnan(logit) ? -HUGE_VALF : logit;  // an order needs every two to compare
  };
  const auto chosen = order_.begin() + per_token_;
  std::partial_sort(order_.begin(), chosen, order_.end(),
                    [&](std::int32_t a, std::int32_t b) { return at(a) != at(b) ? at(a) > at(b) : a < b; });
  const double largest = at(order_.front());
  const auto weight = [&](std::int32_t expert) {
    return std::exp(static_cast<double>(logits[static_cast<std::size_t>(expert)]) - largest);
  };
  double sum = 0;
  for (auto expert = order_.begin(); expert != (normalize_ ? chosen : order_.end()); ++expert)
    sum += weight(*expert);
  for (auto expert = order_.begin(); expert != chosen; ++expert)
    choices_.push_back({.expert = *expert, .share = static_cast<float>(weight(*expert) / sum)});
}

void ExpertRouting::finish() {
  starts_.assign(static_cast<std::size_t>(experts_) + 1, 0);
  for (const Choice& choice : choices_)
    ++starts_[static_cast<std::size_t>(choice.expert) + 1];
  std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
  rows_.resize(choices_.size());
  shares_.resize(choices_.size());
  std::vector<std::int64_t> next(starts_.begin(), starts_.end() - 1);
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const auto to = static_cast<std::size_t>(next[static_cast<std::size_t>(choices_[i].expert)]++);
    rows_[to] = static_cast<std::int32_t>(i / static_cast<std::size_t>(per_token_));
    shares_[to] = choices_[i].share;
  }
}

void add_scaled(std::span<const float> values, float share, std::span<float> sum) noexcept {
  for (std::size_t i = 0; i < values.size(); ++i)
    sum[i] += share * values[i];
}

}  // namespace weft::engine
