#include "engine/sample/logprobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace weft::engine {
namespace {

TEST(Logprobs, AgreeWithTheDefinitionOnRandomLogitsWithTies) {
  std::mt19937 random(11);
  for (const int size : {1, 2, 33, 257, 4000}) {
    std::vector<float> logits(static_cast<std::size_t>(size));
    for (float& logit : logits)
      logit = static_cast<float>(random() % 40) * 0.25f;
    double total = 0;
    for (const float logit : logits)
      total += std::exp(static_cast<double>(logit));
    std::vector<TokenId> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) {
      return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
    });
    for (const std::int32_t count : {0, 1, 5, 20}) {
      const auto chosen = static_cast<TokenId>(random() % static_cast<unsigned>(size));
      const float chosen_logit = logits[static_cast<std::size_t>(chosen)];
      const TokenLogprobs found = logprobs_of(logits, chosen, count).value();
      EXPECT_NEAR(found.token.logprob, static_cast<double>(chosen_logit) - std::log(total), 1e-12);
      EXPECT_EQ(found.token.id, chosen);
      ASSERT_EQ(found.best.size(), static_cast<std::size_t>(std::min(count, size)));
      for (std::size_t i = 0; i < found.best.size(); ++i) {
        EXPECT_EQ(found.best[i].id, order[i]);
        EXPECT_NEAR(found.best[i].logprob,
                    static_cast<double>(logits[static_cast<std::size_t>(order[i])]) - std::log(total), 1e-12);
      }
    }
  }
}

TEST(Logprobs, AreMinusInfinityOutsideTheVocabulary) {
  const std::vector<float> logits = {1, 2};
  EXPECT_EQ(logprobs_of(logits, 2, 0)->token.logprob, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(logprobs_of(logits, -1, 9)->best.size(), 2u);
}

TEST(Logprobs, OfLogitsThatAreNoNumbersAreTheModelsFault) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    const std::vector<float> logits = {1, bad, 2};
    ASSERT_FALSE(logprobs_of(logits, 0, 2));
    EXPECT_EQ(logprobs_of(logits, 0, 2).error().code, ErrorCode::data_loss);
  }
  EXPECT_FALSE(logprobs_of({}, 0, 3));
}

}  // namespace
}  // namespace weft::engine
