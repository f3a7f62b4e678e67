#include "engine/sample/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "engine/sample/dense.h"
#include "engine/sample/top_p.h"
#include "weft/sampling.h"

namespace weft::engine {
namespace {

constexpr double lowest = -std::numeric_limits<double>::infinity();

// Weights below `floor` go; ids_ are there.
void keep_at_least(std::vector<TokenId>& ids, std::vector<double>& weights, double floor) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] < floor) continue;
    ids[kept] = ids[i];
    weights[kept++] = weights[i];
  }
  ids.resize(kept);
  weights.resize(kept);
}

}  // namespace

Result<TokenId> Sampler::sample(std::span<float> logits, const SamplingParams& params, std::span<const TokenId> prompt,
                                std::span<const TokenId> generated, std::int32_t choice, std::int64_t position) {
  WEFT_TRY(prepare(logits, params, prompt, generated));
  const std::size_t index = index_of_draw(weights_, uniform_draw(params.seed, choice, position));
  return ids_.empty() ? static_cast<TokenId>(index) : ids_[index];
}

Result<std::vector<Candidate>> Sampler::survivors(std::span<float> logits, const SamplingParams& params,
                                                  std::span<const TokenId> prompt, std::span<const TokenId> generated) {
  WEFT_TRY(prepare(logits, params, prompt, generated));
  const double total = sum_of(weights_);
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < weights_.size(); ++i)
    if (weights_[i] / total > 0)
      candidates.push_back(
          {.id = ids_.empty() ? static_cast<TokenId>(i) : ids_[i], .probability = weights_[i] / total});
  return candidates;
}

// Fills ids_ and weights_ with the candidates of the draw.
Status Sampler::prepare(std::span<float> logits, const SamplingParams& params, std::span<const TokenId> prompt,
                        std::span<const TokenId> generated) {
  adjust(logits, params, prompt, generated);
  WEFT_ASSIGN(largest_value, largest(logits));
  if (params.temperature == 0) {
    ids_ = {greedy(logits, largest_value)};
    weights_ = {1.0};
    return {};
  }
  const double scale = 1 / std::max(params.temperature, 1e-300);  // 0 times infinity is no number
  double floor = lowest;
  if (params.min_p > 0) {
    // A little low, because it is rounded; the weights decide.
    const double distance = std::log(params.min_p) * params.temperature;
    floor = largest_value + distance - 1e-9 * (1 + std::abs(largest_value) + std::abs(distance));
  }
  if (params.top_k > 0 && static_cast<std::size_t>(params.top_k) < logits.size())
    floor = std::max(floor, kth_largest(logits, static_cast<std::size_t>(params.top_k), floor));
  if (floor > lowest) {
    collect(logits, floor);  // leaves values in weights_
    exp_weights(std::span<const double>(weights_), largest_value, scale, weights_);
    if (params.min_p > 0) keep_at_least(ids_, weights_, params.min_p);
  } else {
    ids_.clear();
    weights_.resize(logits.size());
    exp_weights(logits, largest_value, scale, weights_);
    for (const Adjusted& token : adjusted_)
      weights_[static_cast<std::size_t>(token.id)] = exp_not_positive((token.value - largest_value) * scale);
  }
  if (params.top_p < 1) keep_nucleus(ids_, weights_, params.top_p);
  return {};
}

Sampler::Adjusted& Sampler::adjusted(std::span<const float> logits, TokenId id) {
  std::int32_t& place = place_[static_cast<std::size_t>(id)];
  if (place < 0) {
    place = static_cast<std::int32_t>(adjusted_.size());
    adjusted_.push_back({.id = id, .value = static_cast<double>(logits[static_cast<std::size_t>(id)])});
  }
  return adjusted_[static_cast<std::size_t>(place)];
}

void Sampler::adjust(std::span<float> logits, const SamplingParams& params, std::span<const TokenId> prompt,
                     std::span<const TokenId> generated) {
  adjusted_.clear();
  const bool repetition = params.repetition_penalty != 1;
  const bool counting = params.presence_penalty != 0 || params.frequency_penalty != 0;
  if (params.logit_bias.empty() && !repetition && !counting) return;
  if (place_.size() < logits.size()) place_.resize(logits.size(), -1);
  const auto inside = [&](TokenId id) { return id >= 0 && static_cast<std::size_t>(id) < logits.size(); };
  for (const auto& [id, bias] : params.logit_bias)
    if (inside(id)) adjusted(logits, id).value += static_cast<double>(bias);
  if (repetition)
    for (const TokenId id : prompt)
      if (inside(id)) adjusted(logits, id).seen = true;
  if (repetition || counting) {
    for (const TokenId id : generated) {
      if (!inside(id)) continue;
      Adjusted& token = adjusted(logits, id);
      token.seen = true;
      ++token.generated;
    }
  }
  for (Adjusted& token : adjusted_) {
    if (repetition && token.seen)
      token.value = token.value > 0 ? token.value / params.repetition_penalty : token.value * params.repetition_penalty;
    if (token.generated > 0) token.value -= params.frequency_penalty * token.generated + params.presence_penalty;
    place_[static_cast<std::size_t>(token.id)] = -1;
    logits[static_cast<std::size_t>(token.id)] = -std::numeric_limits<float>::infinity();
  }
  std::sort(adjusted_.begin(), adjusted_.end(), [](const Adjusted& a, const Adjusted& b) { return a.id < b.id; });
}

Result<double> Sampler::largest(std::span<const float> logits) const {
  auto value = static_cast<double>(largest_of(logits));
  for (const Adjusted& token : adjusted_)
    value = std::isnan(token.value) || token.value > value ? token.value : value;
  if (std::isfinite(value)) return value;
  return fail(ErrorCode::data_loss,
              fmt::format("the largest of {} logits is {}, expected a finite number: the model's output is broken "
                          "(damaged weights, or an overflow of its dtype)",
                          logits.size(), value));
}

TokenId Sampler::greedy(std::span<const float> logits, double largest) const {
  std::size_t best = logits.size();
  for (const Adjusted& token : adjusted_)
    if (token.value == largest) {
      best = static_cast<std::size_t>(token.id);
      break;
    }
  return static_cast<TokenId>(std::min(best, first_index_of(logits, static_cast<float>(largest))));
}

// The k-th largest value of all, or -inf where fewer than k reach `floor`.
double Sampler::kth_largest(std::span<const float> logits, std::size_t k, double floor) {
  best_.clear();
  std::size_t limit = 2 * k + 64;
  const auto offer = [&](double value) {
    best_.push_back(value);
    if (best_.size() < limit) return;
    const auto kth = best_.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(best_.begin(), kth, best_.end(), std::greater<>());
    floor = *kth;
    best_.resize(k);
  };
  for (const Adjusted& token : adjusted_)
    if (token.value >= floor) offer(token.value);
  for_each_at_least(
      std::span<const float>(logits), [&] { return floor; },
      [&](std::size_t, float value) { offer(static_cast<double>(value)); });
  if (best_.size() < k) return lowest;
  const auto kth = best_.begin() + static_cast<std::ptrdiff_t>(k - 1);
  std::nth_element(best_.begin(), kth, best_.end(), std::greater<>());
  return *kth;
}

// ids_ and, in weights_, the values of all tokens that reach `floor`, in ascending id.
void Sampler::collect(std::span<const float> logits, double floor) {
  ids_.clear();
  weights_.clear();
  auto next = adjusted_.begin();
  const auto take_adjusted = [&](std::size_t before) {
    for (; next != adjusted_.end() && static_cast<std::size_t>(next->id) < before; ++next) {
      if (next->value < floor) continue;
      ids_.push_back(next->id);
      weights_.push_back(next->value);
    }
  };
  for_each_at_least(
      std::span<const float>(logits), [&] { return floor; },
      [&](std::size_t id, float value) {
        take_adjusted(id);
        ids_.push_back(static_cast<TokenId>(id));
        weights_.push_back(static_cast<double>(value));
      });
  take_adjusted(logits.size());
}

}  // namespace weft::engine
