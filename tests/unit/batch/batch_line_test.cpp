// One input line: OpenAI's batch lines, the short form, and bad ones.
#include "frontend/batch/batch_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/batch/result_line.h"

namespace weft::frontend {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

BatchLine parse(std::string_view text) { return parse_batch_line(3, text, {}, 16); }
std::string error_of(std::string_view text) {
  const BatchLine line = parse(text);
  return line.request ? "accepted" : line.request.error().message;
}

TEST(BatchLine, TakesOpenAisForm) {
  const BatchLine chat = parse(R"({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions",
      "body": {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}})");
  ASSERT_TRUE(chat.request) << chat.request.error().message;
  EXPECT_EQ(chat.custom_id, "a");
  EXPECT_EQ(chat.request->endpoint, Endpoint::chat_completions);
  EXPECT_EQ(chat.request->stop.max_tokens, 9);
  const BatchLine text =
      parse(R"({"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": {"prompt": "x"}})");
  ASSERT_TRUE(text.request);
  EXPECT_EQ(text.request->endpoint, Endpoint::completions);
}

TEST(BatchLine, TakesTheShortForm) {
  const BatchLine chat = parse(R"({"messages": [{"role": "user", "content": "hi"}], "temperature": 0})");
  ASSERT_TRUE(chat.request);
  EXPECT_EQ(chat.custom_id, "line-3");
  EXPECT_EQ(chat.request->endpoint, Endpoint::chat_completions);
  EXPECT_EQ(chat.request->sampling.temperature, 0);
  const BatchLine ids = parse(R"({"custom_id": "b", "prompt": [1, 2], "return_token_ids": true})");
  ASSERT_TRUE(ids.request);
  EXPECT_EQ(ids.request->endpoint, Endpoint::completions);
  EXPECT_TRUE(ids.request->return_token_ids);
}

TEST(BatchLine, SaysWhichLineIsWrongAndHow) {
  EXPECT_THAT(error_of("{\"prompt\": "), HasSubstr("line 3: column 12: not JSON"));
  EXPECT_THAT(error_of("{\"prompt\": \"\xFF\"}"), HasSubstr("line 3: column"));
  EXPECT_THAT(error_of("[1, 2]"), HasSubstr("line 3: 'line': found an array of 2, expected a JSON object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("no 'messages' and no 'prompt'"));
  EXPECT_THAT(error_of(R"({"messages": null})"), HasSubstr("'messages': found null, expected a list of messages"));
  EXPECT_THAT(error_of(R"({"prompt": null})"), HasSubstr("'prompt': found null, expected text"));
  EXPECT_THAT(error_of(R"({"method": null, "url": null})"), HasSubstr("'method': found null, expected \"POST\""));
  EXPECT_THAT(error_of(R"({"custom_id": 5, "prompt": "a"})"), HasSubstr("'custom_id': found 5, expected a string"));
  EXPECT_THAT(error_of(R"({"url": "/v1/completions", "body": {"prompt": "a"}})"), HasSubstr("'method' is missing"));
  EXPECT_THAT(error_of(R"({"method": "GET", "url": "/v1/completions", "body": {}})"),
              HasSubstr("'method': found \"GET\""));
  EXPECT_THAT(error_of(R"({"method": "POST", "url": "/v1/embeddings", "body": {}})"),
              HasSubstr("'url': found \"/v1/embeddings\", expected \"/v1/chat/completions\" or"));
  EXPECT_THAT(error_of(R"({"method": "POST", "url": 5, "body": {}})"), HasSubstr("'url': found 5"));
  EXPECT_THAT(error_of(R"({"method": "POST", "url": "/v1/completions", "body": []})"),
              HasSubstr("'body': found an array"));
  EXPECT_THAT(error_of(R"({"method": "POST", "url": "/v1/completions"})"), HasSubstr("'body' is missing"));
  EXPECT_THAT(error_of(R"({"prompt": "a", "temperature": 1e999})"), HasSubstr("line 3: not JSON"));
  EXPECT_THAT(error_of("{\"prompt\": " + std::string(100, '[')), HasSubstr("nested deeper"));
}

TEST(BatchLine, KeepsTheCustomIdOfALineWhoseRequestIsBad) {
  EXPECT_EQ(parse(R"({"custom_id": "x", "prompt": 5})").custom_id, "x");
  EXPECT_EQ(parse("{broken").custom_id, "line-3");
}

TEST(CustomIds, RememberTheFirstLine) {
  CustomIds ids;
  EXPECT_EQ(ids.first_line("a", 1), 1);
  EXPECT_EQ(ids.first_line("b", 2), 2);
  EXPECT_EQ(ids.first_line("a", 3), 1);
  EXPECT_EQ(ids.first_line("a", 4), 1);
  EXPECT_EQ(ids.first_line("", 5), 5);
}

TEST(ResultLine, GoesThereAndBack) {
  const std::string answer = answer_line(17, "a \"quoted\" id", {{"x", 1}});
  EXPECT_EQ(answer,
            R"({"id":"weft-17","custom_id":"a \"quoted\" id","response":{"status_code":200,"request_id":"req-17",)"
            R"("body":{"x":1}},"error":null})"
            "\n");
  EXPECT_EQ(head_of_result(answer).value().line, 17);
  EXPECT_FALSE(head_of_result(answer).value().failed);
  EXPECT_TRUE(head_of_result(error_line(4, "c", {ErrorCode::invalid_argument, "bad"})).value().failed);
  const auto error = nlohmann::json::parse(error_line(4, "c", {ErrorCode::invalid_argument, "bad \xFF"}));
  EXPECT_EQ(error["response"]["status_code"], 400);
  EXPECT_EQ(error["response"]["body"]["error"]["code"], "invalid_argument");
  EXPECT_EQ(error["error"]["code"], "invalid_argument");
  EXPECT_THAT(std::string(error["error"]["message"]), HasSubstr("bad"));
  EXPECT_EQ(nlohmann::json::parse(error_line(4, "c", {ErrorCode::internal, "bug"}))["response"]["status_code"], 500);
}

TEST(ResultLine, RefusesWhatIsNone) {
  for (const char* bad : {"", "{", "[]", "{}", "3", R"({"id": 3})", R"({"id": "weft-"})", R"({"id": "weft-1x"})",
                          R"({"id": "x-1"})", R"({"id": "weft-99999999999999999999"})"})
    EXPECT_FALSE(head_of_result(bad)) << bad;
}

}  // namespace
}  // namespace weft::frontend
