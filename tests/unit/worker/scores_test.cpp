#include "worker/scores.h"

#include <gtest/gtest.h>

#include <limits>

namespace weft::worker {
namespace {

const std::vector<float> logits = {0.5f, 2.0f, -1.0f};

TEST(Scores, OfASampledTokenGoWithTheUpdateThatTellsOfIt) {
  Scores scores;
  ASSERT_TRUE(scores.add_sampled(7, logits, 1, 2));
  wire::RequestUpdate other{.request = 8, .tokens = {1}};
  scores.take_sampled(other);
  EXPECT_TRUE(other.logprobs.empty());
  wire::RequestUpdate end{.request = 7, .finish_reason = FinishReason::cancelled};
  scores.take_sampled(end);
  EXPECT_TRUE(end.logprobs.empty()) << "no token, no log-probability";
  wire::RequestUpdate update{.request = 7, .tokens = {1}};
  scores.take_sampled(update);
  ASSERT_EQ(update.logprobs.size(), 1U);
  EXPECT_EQ(update.logprobs[0].token.id, 1);
  EXPECT_EQ(update.logprobs[0].best.size(), 2U);
  wire::RequestUpdate again{.request = 7, .tokens = {1}};
  scores.take_sampled(again);
  EXPECT_TRUE(again.logprobs.empty()) << "once";
}

TEST(Scores, OfAPromptComeInOrderInPartsThatALinkTakes) {
  Scores scores;
  constexpr int count = 2500;
  for (int i = 0; i < count; ++i)
    ASSERT_TRUE(scores.add_prompt(9, logits, i % 3, 0));
  ASSERT_TRUE(scores.add_prompt(3, logits, 0, 3));
  const auto updates = scores.take_prompts();
  ASSERT_EQ(updates.size(), 4U);
  EXPECT_EQ(updates[0].request, 3U);
  EXPECT_EQ(updates[0].prompt_logprobs[0].best.size(), 3U);
  int next = 0;
  for (std::size_t i = 1; i < updates.size(); ++i) {
    EXPECT_LE(updates[i].prompt_logprobs.size(), 1024U);
    EXPECT_TRUE(updates[i].tokens.empty());
    for (const TokenLogprobs& one : updates[i].prompt_logprobs)
      EXPECT_EQ(one.token.id, next++ % 3);
  }
  EXPECT_EQ(next, count);
  EXPECT_TRUE(scores.take_prompts().empty()) << "once";
}

TEST(Scores, AreForgottenWithTheirRequest) {
  Scores scores;
  ASSERT_TRUE(scores.add_prompt(1, logits, 0, 0));
  ASSERT_TRUE(scores.add_sampled(1, logits, 0, 0));
  scores.remove(1);
  EXPECT_TRUE(scores.take_prompts().empty());
}

TEST(Scores, OfLogitsThatAreNoNumbersAreAnError) {
  Scores scores;
  const std::vector<float> broken = {1, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_EQ(scores.add_prompt(1, broken, 0, 0).error().code, ErrorCode::data_loss);
  EXPECT_EQ(scores.add_sampled(1, broken, 0, 0).error().code, ErrorCode::data_loss);
  EXPECT_TRUE(scores.take_prompts().empty());
}

}  // namespace
}  // namespace weft::worker
