// The summary for people and as JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "frontend/batch/batch_run.h"

namespace weft::frontend {
namespace {

using testing::HasSubstr;

BatchSummary some() {
  return {.lines = 10,
          .resumed = 2,
          .answered = 5,
          .failed = 1,
          .left = 2,
          .failures = {{"invalid_argument", 1}, {"unavailable", 2}},
          .prompt_tokens = 40,
          .generated_tokens = 100,
          .seconds = 2,
          .first_token_seconds = 0.25,
          .replicas = {{0, {.requests = 7, .tokens = 90}}},
          .interrupted = false,
          .error = Error{ErrorCode::unavailable, "replica 1 is gone"}};
}

TEST(Summary, TextTellsRequestsTokensRatesAndFailuresByCause) {
  EXPECT_EQ(summary_text(some()),
            "10 requests: 5 answered, 2 done by earlier runs, 1 failed, 2 left\n"
            "40 prompt tokens, 100 generated in 2.00 s: 50 tok/s, first token after 0.25 s\n"
            "replica 0: 7 requests, 90 tokens, 45 tok/s\n"
            "failures: 1 invalid_argument, 2 unavailable\n"
            "not finished: the same command does the 2 that are left\n");
}

TEST(Summary, TextOfNothingIsOneLine) {
  EXPECT_THAT(summary_text({}), HasSubstr("the input has no requests"));
  EXPECT_EQ(summary_text({.lines = 3, .resumed = 3}),
            "3 requests: 0 answered, 3 done by earlier runs, 0 failed, 0 left\n");
}

TEST(Summary, JsonHasTheSameFigures) {
  const auto json = nlohmann::json::parse(summary_json(some()));
  EXPECT_EQ(json["requests"],
            nlohmann::json::parse(
                R"({"total": 10, "resumed": 2, "resumed_failed": 0, "answered": 5, "failed": 1, "left": 2})"));
  EXPECT_EQ(json["failures"]["unavailable"], 2);
  EXPECT_EQ(json["tokens"]["generated"], 100);
  EXPECT_EQ(json["tokens_per_second"], 50.0);
  EXPECT_EQ(json["replicas"][0]["tokens"], 90);
  EXPECT_EQ(json["error"]["message"], "replica 1 is gone");
  EXPECT_TRUE(nlohmann::json::parse(summary_json({}))["error"].is_null());
}

}  // namespace
}  // namespace weft::frontend
