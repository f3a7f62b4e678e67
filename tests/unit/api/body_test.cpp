// Prompts -> ids, and answers in OpenAI's shape, with the bundled model's tokenizer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/api/api_request.h"

namespace weft::frontend {
namespace {

using Json = nlohmann::ordered_json;
using testing::ElementsAre;
using testing::HasSubstr;

class Body : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::string model = std::string(WEFT_SOURCE_DIR) + "/models/weft-tiny";
    tokenizer_ = text::Tokenizer::load(model).value();
    chat_ = std::make_shared<const text::ChatFormat>(text::load_chat_format(model).value().value());
  }
  static void TearDownTestSuite() {
    tokenizer_.reset();
    chat_.reset();
  }

  static ApiRequest parse(Endpoint endpoint, const std::string& body) {
    return parse_request(endpoint, Json::parse(body), {}, 16).value();
  }
  static ApiRequest chat(const std::string& more = "") {
    return parse(Endpoint::chat_completions, R"({"messages": [{"role": "user", "content": "hi"}])" + more + "}");
  }
  static Json body(const ApiRequest& request, std::span<const TokenId> tokens, const Outcome& outcome,
                   const text::Tokenizer* tokenizer = tokenizer_.get()) {
    return to_body(request, "id-1", "weft-tiny", 1234, 5, tokens, outcome, tokenizer);
  }

  static std::shared_ptr<const text::Tokenizer> tokenizer_;
  static std::shared_ptr<const text::ChatFormat> chat_;
};
std::shared_ptr<const text::Tokenizer> Body::tokenizer_;
std::shared_ptr<const text::ChatFormat> Body::chat_;

TEST_F(Body, AChatGoesThroughTheTemplate) {
  const auto request = to_request(chat(), tokenizer_.get(), chat_.get());
  ASSERT_TRUE(request) << request.error().message;
  const std::string text = tokenizer_->decode(request->prompt, false);
  EXPECT_EQ(text, chat_->render(Json::parse(R"([{"role": "user", "content": "hi"}])"), Json(), true).value());
}

TEST_F(Body, TextGetsTheTokenizersSpecialTokensAndIdsGoAsTheyAre) {
  const auto text = to_request(parse(Endpoint::completions, R"({"prompt": "hello"})"), tokenizer_.get(), nullptr);
  ASSERT_TRUE(text);
  EXPECT_EQ(text->prompt, tokenizer_->encode("hello", true).value());
  const auto ids = to_request(parse(Endpoint::completions, R"({"prompt": [7, 8]})"), nullptr, nullptr);
  ASSERT_TRUE(ids);
  EXPECT_THAT(ids->prompt, ElementsAre(7, 8));
  EXPECT_EQ(ids->stop.max_tokens, 16);
}

TEST_F(Body, AnEmptyPromptIsAnError) {
  const auto request = to_request(parse(Endpoint::completions, R"({"prompt": []})"), tokenizer_.get(), nullptr);
  ASSERT_FALSE(request);
  EXPECT_THAT(request.error().message, HasSubstr("the prompt is empty"));
}

TEST_F(Body, WithoutTokenizerOrTemplateTheErrorSaysWhatToSend) {
  const auto text = to_request(parse(Endpoint::completions, R"({"prompt": "a"})"), nullptr, nullptr);
  ASSERT_FALSE(text);
  EXPECT_THAT(text.error().message, HasSubstr("send the prompt as a list of token ids"));
  const auto no_template = to_request(chat(), tokenizer_.get(), nullptr);
  ASSERT_FALSE(no_template);
  EXPECT_THAT(no_template.error().message, HasSubstr("no chat template"));
}

TEST_F(Body, DrawsASeedWhereNoneIsGivenAndOneIsNeeded) {
  const auto seed = [&](const char* more) {
    return to_request(chat(more), tokenizer_.get(), chat_.get())->sampling.seed;
  };
  EXPECT_NE(seed(""), seed(""));
  EXPECT_EQ(seed(R"(, "seed": 5)"), 5U);
  EXPECT_EQ(seed(R"(, "seed": -1)"), ~std::uint64_t{0});
  EXPECT_EQ(seed(R"(, "temperature": 0)"), 0U);
}

TEST_F(Body, AnAnswerHasOpenAisShape) {
  const auto tokens = tokenizer_->encode("the answer", false).value();
  const Json answer = body(chat(), tokens, {.reason = FinishReason::stop});
  EXPECT_EQ(answer["id"], "id-1");
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_EQ(answer["created"], 1234);
  EXPECT_EQ(answer["model"], "weft-tiny");
  EXPECT_EQ(answer["choices"].size(), 1U);
  EXPECT_EQ(answer["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "the answer");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  EXPECT_FALSE(answer["choices"][0].contains("token_ids"));
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 5);
  EXPECT_EQ(answer["usage"]["completion_tokens"], tokens.size());
  EXPECT_EQ(answer["usage"]["total_tokens"], 5 + tokens.size());
  const Json text = body(parse(Endpoint::completions, R"({"prompt": "a"})"), tokens, {.reason = FinishReason::length});
  EXPECT_EQ(text["object"], "text_completion");
  EXPECT_EQ(text["choices"][0]["text"], "the answer");
  EXPECT_EQ(text["choices"][0]["finish_reason"], "length");
}

TEST_F(Body, TokenIdsComeWhereAskedForOrWhereThereIsNoText) {
  const std::vector<TokenId> tokens{4, 5, 2};
  const Outcome outcome{.reason = FinishReason::length};
  EXPECT_EQ(body(chat(R"(, "return_token_ids": true)"), tokens, outcome)["choices"][0]["token_ids"], Json({4, 5, 2}));
  const Json bare = body(parse(Endpoint::completions, R"({"prompt": [1]})"), tokens, outcome, nullptr);
  EXPECT_EQ(bare["choices"][0]["token_ids"], Json({4, 5, 2}));
  EXPECT_EQ(bare["choices"][0]["text"], "");
}

TEST_F(Body, TheTextEndsBeforeAMatchedStopString) {
  const auto tokens = tokenizer_->encode("one two three", false).value();
  const Json answer = body(chat(), tokens, {.reason = FinishReason::stop, .matched_stop = " two", .text_offset = 3});
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "one");
  EXPECT_EQ(answer["usage"]["completion_tokens"], tokens.size());
}

TEST(ErrorBody, HasOpenAisShape) {
  const Json bad = error_body({ErrorCode::invalid_argument, "no"});
  EXPECT_EQ(bad["error"]["message"], "no");
  EXPECT_EQ(bad["error"]["type"], "invalid_request_error");
  EXPECT_EQ(bad["error"]["code"], "invalid_argument");
  EXPECT_TRUE(bad["error"]["param"].is_null());
  EXPECT_EQ(error_body({ErrorCode::internal, "no"})["error"]["type"], "server_error");
}

}  // namespace
}  // namespace weft::frontend
