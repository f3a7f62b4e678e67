#include "engine/sample/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace weft::engine {
namespace {

const std::vector<TokenId> end_ids = {7, 99};

std::string found(const std::function<void(SamplingParams&, StopConditions&)>& change) {
  SamplingParams sampling;
  StopConditions stop;
  change(sampling, stop);
  const Status status = validate(sampling, stop, {.vocabulary = 100, .end_ids = end_ids});
  if (status) return "legal";
  EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(status.error().retryable);
  return status.error().message;
}

TEST(Validate, TakesWhatIsLegalUpToItsLimits) {
  EXPECT_EQ(found([](SamplingParams&, StopConditions&) {}), "legal");
  EXPECT_EQ(found([](SamplingParams& sampling, StopConditions& stop) {
              sampling = {.temperature = 0,
                          .top_k = 1000000,
                          .top_p = 1e-9,
                          .min_p = 1,
                          .repetition_penalty = 0.1,
                          .presence_penalty = -2,
                          .frequency_penalty = 2,
                          .logit_bias = {{0, -100.0f}, {99, 100.0f}},
                          .seed = 1};
              stop.max_tokens = 1;
              stop.stop_token_ids = {0, 99};
              stop.stop_strings = {"x"};
            }),
            "legal");
}

TEST(Validate, LeavesATokenToBeginWithBesideStopIdsAndEndIds) {
  const auto all_but = [](TokenId spared, bool ignore_eos) {
    return found([&](SamplingParams&, StopConditions& stop) {
      stop.min_tokens = 1;
      stop.ignore_eos = ignore_eos;
      for (TokenId id = 0; id < 100; ++id)
        if (id != spared) stop.stop_token_ids.push_back(id);
    });
  };
  EXPECT_THAT(all_but(99, false), ::testing::StartsWith("min_tokens is 1, expected 0 where stop_token_ids and"));
  EXPECT_EQ(all_but(99, true), "legal") << "an end id is a token like any other where it is ignored";
  EXPECT_EQ(all_but(98, false), "legal");
  EXPECT_EQ(found([](SamplingParams&, StopConditions& stop) {
              stop.min_tokens = 1;
              stop.stop_token_ids.assign(200, 1);
            }),
            "legal")
      << "one id many times";
}

TEST(Validate, NamesTheParameterWhatWasFoundAndTheLegalRange) {
  using S = SamplingParams;
  using C = StopConditions;
  EXPECT_EQ(found([](S& s, C&) { s.temperature = -0.5; }), "temperature is -0.5, expected 0 or more");
  EXPECT_EQ(found([](S& s, C&) { s.top_k = -1; }), "top_k is -1, expected 0 (off) or more");
  EXPECT_EQ(found([](S& s, C&) { s.top_p = 0; }), "top_p is 0, expected above 0, to 1 (off)");
  EXPECT_EQ(found([](S& s, C&) { s.top_p = 1.5; }), "top_p is 1.5, expected above 0, to 1 (off)");
  EXPECT_EQ(found([](S& s, C&) { s.min_p = 2; }), "min_p is 2, expected 0 (off) to 1");
  EXPECT_EQ(found([](S& s, C&) { s.repetition_penalty = 0; }), "repetition_penalty is 0, expected above 0 (1: off)");
  EXPECT_EQ(found([](S& s, C&) { s.presence_penalty = 2.5; }), "presence_penalty is 2.5, expected -2 to 2");
  EXPECT_EQ(found([](S& s, C&) { s.frequency_penalty = -3; }), "frequency_penalty is -3, expected -2 to 2");
  EXPECT_EQ(found([](S& s, C&) {
              s.logit_bias = {{100, 1.0f}};
            }),
            "logit_bias is token id 100, expected an id from 0 to 99");
  EXPECT_EQ(found([](S& s, C&) {
              s.logit_bias = {{4, 101.0f}};
            }),
            "logit_bias is 101 for token id 4, expected -100 to 100");
  EXPECT_EQ(found([](S& s, C&) {
              s.logit_bias = {{4, 1.0f}, {4, 2.0f}};
            }),
            "logit_bias is given twice for token id 4, expected one bias an id");
  EXPECT_EQ(found([](S&, C& c) { c.max_tokens = 0; }), "max_tokens is 0, expected 1 or more");
  EXPECT_EQ(found([](S&, C& c) { c.min_tokens = -1; }), "min_tokens is -1, expected 0 to max_tokens, which is 16");
  EXPECT_EQ(found([](S&, C& c) { c.min_tokens = 17; }), "min_tokens is 17, expected 0 to max_tokens, which is 16");
  EXPECT_EQ(
      found([](S&, C& c) {
        c.min_tokens = 2;
        c.stop_token_ids.resize(100);
        std::iota(c.stop_token_ids.begin(), c.stop_token_ids.end(), 0);
      }),
      "min_tokens is 2, expected 0 where stop_token_ids and the model's end ids are the whole vocabulary: no token is "
      "left to begin with");
  EXPECT_EQ(found([](S&, C& c) { c.stop_token_ids = {-1}; }),
            "stop_token_ids is token id -1, expected an id from 0 to 99");
  EXPECT_EQ(found([](S&, C& c) {
              c.stop_strings = {"a", ""};
            }),
            "stop is an empty string, expected at least one character, or no stop string");
}

TEST(Validate, KnowsHowManyLogprobsThereMayBe) {
  const StopConditions nothing{.max_tokens = 0};
  EXPECT_TRUE(validate({}, nothing, {.vocabulary = 100}, {.generated = 20, .prompt = 0}))
      << "only the prompt is looked at";
  EXPECT_FALSE(validate({}, nothing, {.vocabulary = 100}, {.generated = 20, .prompt = {}}));
  EXPECT_EQ(validate({}, {}, {.vocabulary = 100}, {.generated = 21, .prompt = {}}).error().message,
            "logprobs is 21, expected 0 to 20");
  EXPECT_EQ(validate({}, {}, {.vocabulary = 100}, {.generated = {}, .prompt = -1}).error().message,
            "prompt_logprobs is -1, expected 0 to 20");
}

TEST(Validate, RefusesNanAndInfinityEverywhere) {
  const auto members = {&SamplingParams::temperature,
                        &SamplingParams::top_p,
                        &SamplingParams::min_p,
                        &SamplingParams::repetition_penalty,
                        &SamplingParams::presence_penalty,
                        &SamplingParams::frequency_penalty};
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    for (const auto member : members)
      EXPECT_NE(found([&](SamplingParams& sampling, StopConditions&) { sampling.*member = bad; }), "legal");
    EXPECT_NE(found([&](SamplingParams& sampling, StopConditions&) {
                sampling.logit_bias = {{1, static_cast<float>(bad)}};
              }),
              "legal");
  }
}

}  // namespace
}  // namespace weft::engine
