// Prompts -> ids, and answers in OpenAI's shape, with the bundled model's tokenizer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

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
                   const std::shared_ptr<const text::Tokenizer>& tokenizer = tokenizer_) {
    return body_of(request, {{.tokens = {tokens.begin(), tokens.end()}, .outcome = outcome}}, tokenizer);
  }
  static Json body_of(const ApiRequest& request, std::vector<ChoiceAnswer> choices,
                      const std::shared_ptr<const text::Tokenizer>& tokenizer = tokenizer_,
                      const std::vector<TokenId>& prompt = {5, 6, 7, 8, 9}) {
    return to_body(
        request, {.id = "id-1", .model = "weft-tiny", .created = 1234, .prompt = prompt, .choices = std::move(choices)},
        tokenizer);
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

TEST_F(Body, WhatTheTemplateRefusesNamesTheMessageOnce) {
  auto raising = text::ChatTemplate::compile("{% for m in messages %}{{ m.content + 1 }}{% endfor %}");
  ASSERT_TRUE(raising);
  const text::ChatFormat format{.chat_template = *std::move(raising)};
  const auto request = to_request(chat(), tokenizer_.get(), &format);
  ASSERT_FALSE(request);
  EXPECT_THAT(request.error().message,
              testing::StartsWith("'messages': chat template, 1:37, at messages[0]: TypeError"));
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
  const auto tokens = tokenizer_->encode("the answer<|im_end|>", false).value();
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

TEST_F(Body, WhatStoppedAChoiceIsShownWhereAskedFor) {
  const auto tokens = tokenizer_->encode("one two three", false).value();
  const Outcome by_string{.reason = FinishReason::stop, .matched_stop = " two", .text_offset = 3};
  const char* include = R"(, "include_stop_str_in_output": true)";
  EXPECT_EQ(body(chat(include), tokens, by_string)["choices"][0]["message"]["content"], "one two");
  // By an id that has a text, as a client's own stop_token_ids may.
  const Outcome by_id{.reason = FinishReason::stop};
  const std::string whole = tokenizer_->decode(tokens, true);
  const std::string before = tokenizer_->decode(std::span(tokens).first(tokens.size() - 1), true);
  EXPECT_EQ(body(chat(), tokens, by_id)["choices"][0]["message"]["content"], before);
  EXPECT_EQ(body(chat(include), tokens, by_id)["choices"][0]["message"]["content"], whole);
  EXPECT_EQ(body(chat(), tokens, {.reason = FinishReason::length})["choices"][0]["message"]["content"], whole);
}

TEST_F(Body, EachChoiceHasItsIndexTextAndEnd) {
  const auto one = tokenizer_->encode("one", false).value();
  const auto two = tokenizer_->encode("two more", false).value();
  const Json answer = body_of(chat(R"(, "n": 2)"), {{.tokens = one, .outcome = {.reason = FinishReason::length}},
                                                    {.tokens = two, .outcome = {.reason = FinishReason::length}}});
  ASSERT_EQ(answer["choices"].size(), 2U);
  EXPECT_EQ(answer["choices"][0]["index"], 0);
  EXPECT_EQ(answer["choices"][1]["index"], 1);
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "one");
  EXPECT_EQ(answer["choices"][1]["message"]["content"], "two more");
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 5) << "once";
  EXPECT_EQ(answer["usage"]["completion_tokens"], one.size() + two.size());
}

TEST_F(Body, AChatsLogprobsHaveTokenBytesAndTheBest) {
  // One character of four bytes: its tokens are bytes alone.
  const auto tokens = tokenizer_->encode("🙂", false).value();
  ASSERT_GT(tokens.size(), 1U);
  ChoiceAnswer choice{.tokens = tokens, .outcome = {.reason = FinishReason::length}};
  for (const TokenId id : tokens)
    choice.logprobs.push_back({.token = {id, -1.5}, .best = {{2, -0.25}, {id, -1.5}}});
  const Json answer = body_of(chat(R"(, "logprobs": true, "top_logprobs": 2)"), {choice});
  const Json& content = answer["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), tokens.size());
  EXPECT_TRUE(answer["choices"][0]["logprobs"]["refusal"].is_null());
  std::string bytes;
  for (const Json& token : content) {
    EXPECT_EQ(token["logprob"], -1.5);
    ASSERT_EQ(token["top_logprobs"].size(), 2U);
    EXPECT_EQ(token["top_logprobs"][0]["token"], "<|im_end|>");
    EXPECT_EQ(token["top_logprobs"][0]["logprob"], -0.25);
    EXPECT_EQ(token["top_logprobs"][0]["bytes"].size(), 10U);
    EXPECT_EQ(token["top_logprobs"][1]["token"], token["token"]);
    for (const Json& byte : token["bytes"])
      bytes += static_cast<char>(byte.get<int>());
    EXPECT_THAT(token["token"].get<std::string>(), HasSubstr("\\x"));
  }
  EXPECT_EQ(bytes, "🙂") << "what the tokens' bytes make together";
  EXPECT_TRUE(body(chat(), tokens, choice.outcome)["choices"][0]["logprobs"].is_null());
}

TEST_F(Body, ACompletionsLogprobsHaveOffsetsInCharacters) {
  const auto tokens = tokenizer_->encode("né là", false).value();
  ChoiceAnswer choice{.tokens = tokens, .outcome = {.reason = FinishReason::length}};
  for (const TokenId id : tokens)
    choice.logprobs.push_back({.token = {id, -std::numeric_limits<double>::infinity()}, .best = {{2, -0.5}}});
  const Json logprobs =
      body_of(parse(Endpoint::completions, R"({"prompt": "a", "logprobs": 1})"), {choice})["choices"][0]["logprobs"];
  ASSERT_EQ(logprobs["tokens"].size(), tokens.size());
  ASSERT_EQ(logprobs["text_offset"].size(), tokens.size());
  EXPECT_EQ(logprobs["text_offset"][0], 0);
  EXPECT_LE(logprobs["text_offset"].back(), 4) << "5 characters, 7 bytes";
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_EQ(logprobs["token_logprobs"][i], -9999.0) << "JSON has no infinity";
    EXPECT_EQ(logprobs["top_logprobs"][i].size(), 2U) << "the best one and the token's own";
    EXPECT_EQ(logprobs["top_logprobs"][i]["<|im_end|>"], -0.5);
    EXPECT_TRUE(logprobs["top_logprobs"][i].contains(logprobs["tokens"][i].get<std::string>()));
  }
}

TEST_F(Body, AnEchoedPromptComesFirstWithItsLogprobs) {
  const auto prompt = tokenizer_->encode("one two", true).value();
  const auto tokens = tokenizer_->encode(" three four", false).value();
  ApiRequest request =
      parse(Endpoint::completions, R"({"prompt": "one two", "echo": true, "logprobs": 0, "max_tokens": 9})");
  ChoiceAnswer choice{.tokens = tokens, .outcome = {.reason = FinishReason::length}};
  for (std::size_t i = 1; i < prompt.size(); ++i)
    choice.prompt_logprobs.push_back({.token = {prompt[i], -2}, .best = {}});
  for (const TokenId id : tokens)
    choice.logprobs.push_back({.token = {id, -3}, .best = {}});
  const auto first = [&](ChoiceAnswer answer) { return body_of(request, {answer}, tokenizer_, prompt)["choices"][0]; };
  const Json shown = first(choice);
  EXPECT_EQ(shown["text"], "one two three four");
  const Json& logprobs = shown["logprobs"];
  const std::size_t count = prompt.size() + tokens.size();
  for (const char* key : {"tokens", "token_logprobs", "top_logprobs", "text_offset"})
    ASSERT_EQ(logprobs[key].size(), count) << key;
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null()) << "nothing stands before it";
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  EXPECT_EQ(logprobs["token_logprobs"][1], -2);
  EXPECT_EQ(logprobs["token_logprobs"].back(), -3);
  EXPECT_EQ(logprobs["text_offset"][prompt.size()], 7) << "where the generated text begins";
  EXPECT_EQ(logprobs["top_logprobs"][1].size(), 1U);

  choice.outcome = {.reason = FinishReason::stop, .matched_stop = " four", .text_offset = 6};
  EXPECT_EQ(first(choice)["text"], "one two three") << "the offset is the generated text's alone";
  EXPECT_EQ(first(choice)["logprobs"]["text_offset"].back(), 13) << "no offset is beyond the text";

  choice = {.tokens = {}, .prompt_logprobs = choice.prompt_logprobs, .outcome = {.reason = FinishReason::length}};
  EXPECT_EQ(first(choice)["text"], "one two") << "max_tokens 0";
  EXPECT_EQ(first(choice)["logprobs"]["tokens"].size(), prompt.size());
  request.logprobs.generated.reset();
  EXPECT_TRUE(first(choice)["logprobs"].is_null());
  request.prompt = prompt;
  EXPECT_EQ(first(choice)["text"], tokenizer_->decode(prompt, true)) << "ids are decoded";
}

TEST_F(Body, WithoutATokenizerLogprobsNameIds) {
  const ChoiceAnswer choice{.tokens = {4},
                            .logprobs = {{.token = {4, -1}, .best = {{3, -0.5}}}},
                            .outcome = {.reason = FinishReason::length}};
  const auto request = parse(Endpoint::completions, R"({"prompt": [1], "logprobs": 1})");
  const Json logprobs = body_of(request, {choice}, nullptr)["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], Json({"token_id:4"}));
  EXPECT_EQ(logprobs["top_logprobs"][0]["token_id:3"], -0.5);
  EXPECT_EQ(logprobs["text_offset"], Json::array({0}));
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
