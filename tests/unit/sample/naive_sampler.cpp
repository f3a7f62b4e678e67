#include "tests/unit/sample/naive_sampler.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <set>

namespace weft::engine {
namespace {

std::vector<double> adjusted(const std::vector<float>& logits, const SamplingParams& params,
                             const std::vector<TokenId>& prompt, const std::vector<TokenId>& generated) {
  std::vector<double> values(logits.begin(), logits.end());
  for (const auto& [id, bias] : params.logit_bias)
    values[static_cast<std::size_t>(id)] += static_cast<double>(bias);
  std::set<TokenId> seen(prompt.begin(), prompt.end());
  seen.insert(generated.begin(), generated.end());
  for (const TokenId id : seen) {
    double& value = values[static_cast<std::size_t>(id)];
    value = value > 0 ? value / params.repetition_penalty : value * params.repetition_penalty;
  }
  for (const TokenId id : std::set<TokenId>(generated.begin(), generated.end())) {
    const auto times = static_cast<double>(std::count(generated.begin(), generated.end(), id));
    values[static_cast<std::size_t>(id)] -= params.frequency_penalty * times + params.presence_penalty;
  }
  return values;
}

}  // namespace

std::map<TokenId, double> naive_survivors(const std::vector<float>& logits, const SamplingParams& params,
                                          const std::vector<TokenId>& prompt, const std::vector<TokenId>& generated) {
  const std::vector<double> values = adjusted(logits, params, prompt, generated);
  const double largest = *std::max_element(values.begin(), values.end());
  if (params.temperature == 0)
    return {{static_cast<TokenId>(std::find(values.begin(), values.end(), largest) - values.begin()), 1.0}};

  struct Token {
    TokenId id;
    double value;
    double weight;
  };
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < values.size(); ++i)
    tokens.push_back({static_cast<TokenId>(i), values[i], std::exp((values[i] - largest) / params.temperature)});
  std::stable_sort(tokens.begin(), tokens.end(), [](const Token& a, const Token& b) { return a.value > b.value; });
  tokens.erase(std::remove_if(tokens.begin(), tokens.end(), [&](const Token& t) { return t.weight < params.min_p; }),
               tokens.end());
  if (const auto k = static_cast<std::size_t>(params.top_k); k > 0 && k < tokens.size()) {
    const double kth = tokens[k - 1].value;
    while (tokens.back().value < kth)
      tokens.pop_back();
  }
  if (params.top_p < 1) {
    double total = 0;
    for (const Token& token : tokens)
      total += token.weight;
    double sum = 0;
    std::size_t kept = 0;
    while (kept < tokens.size() && sum < params.top_p * total)
      sum += tokens[kept++].weight;
    tokens.resize(kept);
  }
  double total = 0;
  for (const Token& token : tokens)
    total += token.weight;
  std::map<TokenId, double> survivors;
  for (const Token& token : tokens)
    if (token.weight / total > 0) survivors[token.id] = token.weight / total;
  return survivors;
}

}  // namespace weft::engine
