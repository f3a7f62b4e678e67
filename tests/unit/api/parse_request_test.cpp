// OpenAI bodies -> checked requests, and the clear errors of bad ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "frontend/api/api_request.h"

namespace weft::frontend {
namespace {

using Json = nlohmann::ordered_json;
using testing::ElementsAre;
using testing::HasSubstr;

Result<ApiRequest> chat(const std::string& more, const GenerationDefaults& defaults = {}) {
  return parse_request(Endpoint::chat_completions,
                       Json::parse(R"({"messages": [{"role": "user", "content": "hi"}])" + more + "}"), defaults, 256);
}

Result<ApiRequest> completion(const std::string& body) {
  return parse_request(Endpoint::completions, Json::parse(body), {}, 256);
}

std::string error_of(const Result<ApiRequest>& request) { return request ? "accepted" : request.error().message; }

TEST(ParseRequest, TakesEveryKeyOfAChat) {
  const auto request =
      chat(R"(, "model": "m", "max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1,
      "repetition_penalty": 1.1, "presence_penalty": -1, "frequency_penalty": 2, "logit_bias": {"5": -100, "7": 2.5}, "seed": 11,
      "stop": ["a", "b"], "stop_token_ids": [3], "ignore_eos": true, "return_token_ids": true, "user": "u", "n": 1,
      "stream": false, "logprobs": false, "unknown": [1])")
          .value();
  EXPECT_EQ(request.endpoint, Endpoint::chat_completions);
  EXPECT_EQ(std::get<Json>(request.prompt)[0]["content"], "hi");
  EXPECT_EQ(request.stop.max_tokens, 7);
  EXPECT_TRUE(request.max_tokens_given);
  EXPECT_EQ(request.sampling.temperature, 0.5);
  EXPECT_EQ(request.sampling.top_p, 0.9);
  EXPECT_EQ(request.sampling.top_k, 40);
  EXPECT_EQ(request.sampling.min_p, 0.1);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.1);
  EXPECT_EQ(request.sampling.presence_penalty, -1);
  EXPECT_EQ(request.sampling.frequency_penalty, 2);
  EXPECT_THAT(request.sampling.logit_bias, ElementsAre(std::pair(5, -100.0F), std::pair(7, 2.5F)));
  EXPECT_EQ(request.sampling.seed, 11U);
  EXPECT_TRUE(request.seed_given);
  EXPECT_THAT(request.stop.stop_strings, ElementsAre("a", "b"));
  EXPECT_THAT(request.stop.stop_token_ids, ElementsAre(3));
  EXPECT_TRUE(request.stop.ignore_eos);
  EXPECT_TRUE(request.return_token_ids);
}

TEST(ParseRequest, NullIsAsGoodAsAbsent) {
  const auto request = chat(R"(, "max_tokens": null, "temperature": null, "stop": null, "seed": null, "n": null,
      "logprobs": null, "stream": null, "tools": null, "logit_bias": null, "user": null, "model": null)");
  ASSERT_TRUE(request) << error_of(request);
  EXPECT_EQ(request->stop.max_tokens, 256);
  EXPECT_FALSE(request->max_tokens_given);
  EXPECT_EQ(request->sampling.temperature, 1.0);
  EXPECT_FALSE(request->seed_given);
}

TEST(ParseRequest, TakesTheModelsSamplingWhereTheBodyHasNone) {
  const GenerationDefaults defaults{
      .temperature = 0.7, .top_k = 20, .top_p = 0.8, .min_p = 0.05, .repetition_penalty = 1.2};
  const auto request = chat("", defaults);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->sampling.temperature, 0.7);
  EXPECT_EQ(request->sampling.top_k, 20);
  EXPECT_EQ(request->sampling.top_p, 0.8);
  EXPECT_EQ(request->sampling.min_p, 0.05);
  EXPECT_EQ(request->sampling.repetition_penalty, 1.2);
  EXPECT_EQ(chat(R"(, "top_k": -1, "temperature": 0)", defaults)->sampling.top_k, 0);
}

TEST(ParseRequest, IsGreedyWhereTheModelSaysDoSampleFalseUnlessTheBodyNamesATemperature) {
  const GenerationDefaults greedy{.do_sample = false, .temperature = 0.7};
  EXPECT_EQ(chat("", greedy)->sampling.temperature, 0);
  EXPECT_EQ(chat(R"(, "temperature": 0.3)", greedy)->sampling.temperature, 0.3);
}

TEST(ParseRequest, KnowsTheFormsOfAPrompt) {
  EXPECT_EQ(std::get<std::string>(completion(R"({"prompt": "once"})")->prompt), "once");
  EXPECT_EQ(std::get<std::string>(completion(R"({"prompt": ["once"]})")->prompt), "once");
  EXPECT_THAT(std::get<std::vector<TokenId>>(completion(R"({"prompt": [1, 2147483647]})")->prompt),
              ElementsAre(1, 2147483647));
  EXPECT_THAT(std::get<std::vector<TokenId>>(completion(R"({"prompt": [[4, 5]]})")->prompt), ElementsAre(4, 5));
  EXPECT_THAT(error_of(completion(R"({"prompt": ["a", "b"]})")),
              HasSubstr("a list of 2 prompts is not in this version"));
  EXPECT_THAT(error_of(completion("{}")), HasSubstr("'prompt' is missing"));
}

TEST(ParseRequest, RefusesIdsThatAreNone) {
  for (const char* bad : {"-1", "2147483648", "1.5", "true", "\"1\"", "null", "1e3", "18446744073709551615"})
    EXPECT_THAT(error_of(completion(std::string(R"({"prompt": [0, )") + bad + "]}")), HasSubstr("'prompt[1]': found"))
        << bad;
}

TEST(ParseRequest, TakesEitherAPromptOrMessages) {
  EXPECT_THAT(error_of(chat(R"(, "prompt": "hello")")),
              HasSubstr("expected nothing beside 'messages': a request has one of the two"));
  EXPECT_THAT(error_of(completion(R"({"prompt": "hello", "messages": []})")),
              HasSubstr("expected nothing beside 'prompt': a request has one of the two"));
  EXPECT_TRUE(chat(R"(, "prompt": null)"));
}

TEST(ParseRequest, JoinsTextPartsAndRefusesOthers) {
  const auto parse = [](const char* content) {
    return parse_request(Endpoint::chat_completions,
                         Json::parse(std::string(R"({"messages": [{"role": "user", "content": )") + content + "}]}"),
                         {}, 1);
  };
  const auto joined = parse(R"([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])");
  ASSERT_TRUE(joined) << error_of(joined);
  EXPECT_EQ(std::get<Json>(joined->prompt)[0]["content"], "a\nb");
  EXPECT_THAT(error_of(parse(R"([{"type": "image_url"}])")), HasSubstr("'image_url' is not in this version"));
  EXPECT_THAT(error_of(parse("[1]")), HasSubstr("messages[0].content[0]"));
  EXPECT_THAT(error_of(parse("5")), HasSubstr("'messages[0].content': found 5"));
}

TEST(ParseRequest, NamesTheKeyWhatWasFoundAndWhatWasExpected) {
  struct Case {
    const char* more;
    const char* error;
  };
  for (const Case& bad : std::initializer_list<Case>{
           {R"("temperature": -1)", "'temperature': found -1, expected a finite number from 0"},
           {R"("temperature": "0")", "'temperature': found \"0\""},
           {R"("top_p": 0)", "'top_p': found 0, expected a number above 0 to 1"},
           {R"("top_p": 1.01)", "'top_p': found 1.01"},
           {R"("top_k": -2)", "'top_k': found -2, expected an integer from -1"},
           {R"("top_k": 1.5)", "'top_k': found 1.5"},
           {R"("min_p": 2)", "'min_p': found 2"},
           {R"("repetition_penalty": 0)", "'repetition_penalty': found 0, expected a finite number above 0"},
           {R"("presence_penalty": 3)", "'presence_penalty': found 3, expected a number from -2 to 2"},
           {R"("frequency_penalty": -3)", "'frequency_penalty': found -3"},
           {R"("logit_bias": [1])", "'logit_bias': found an array of 1"},
           {R"("logit_bias": {"x": 1})", "'logit_bias': found \"x\", expected token ids"},
           {R"("logit_bias": {"-1": 1})", "'logit_bias': found \"-1\""},
           {R"("logit_bias": {"1": 101})", "'logit_bias.1': found 101, expected a number from -100 to 100"},
           {R"("seed": 1.5)", "'seed': found 1.5, expected a 64-bit integer"},
           {R"("max_tokens": 0)", "'max_tokens': found 0, expected an integer from 1"},
           {R"("max_tokens": 1, "max_completion_tokens": 2)", "only one of the two keys"},
           {R"("max_tokens": 4, "min_tokens": 5)", "'min_tokens': found 5, expected at most max_tokens' 4"},
           {R"("min_tokens": -1)", "'min_tokens': found -1, expected an integer from 0"},
           {R"("n": 0)", "'n': found 0, expected an integer from 1 to 128"},
           {R"("n": 129)", "'n': found 129"},
           {R"("n": "2")", "'n': found \"2\""},
           {R"("n": 2, "best_of": 3)", "'best_of': found 3, expected n's 2"},
           {R"("logprobs": 2)", "'logprobs': found 2, expected true or false"},
           {R"("logprobs": true, "top_logprobs": 21)", "'top_logprobs': found 21, expected an integer from 0 to 20"},
           {R"("top_logprobs": 2)", "'top_logprobs': found 2, expected 'logprobs': true beside it"},
           {R"("logprobs": false, "top_logprobs": 2)", "'logprobs': true beside it"},
           {R"("echo": true)", "'echo': found true, expected false, or /v1/completions"},
           {R"("include_stop_str_in_output": 1)", "'include_stop_str_in_output': found 1, expected true or false"},
           {R"("stop": "")", "'stop': found \"\""},
           {R"("stop": [1])", "'stop': found 1"},
           {R"("stop_token_ids": [-5])", "'stop_token_ids[0]': found -5"},
           {R"("ignore_eos": 1)", "'ignore_eos': found 1, expected true or false"},
           {R"("return_token_ids": "yes")", "'return_token_ids': found \"yes\""},
           {R"("model": 3)", "'model': found 3, expected a string"},
           {R"("user": [])", "'user': found an array of 0"},
           {R"("messages": [])", "'messages': found an array of 0, expected a list of at least one message"},
           {R"("messages": [{}])", "'messages[0].role' is missing"},
           {R"("messages": [{"role": null}])", "'messages[0].role': found null, expected a string such as"},
           {R"("messages": null)", "'messages': found null, expected a list of messages"},
       }) {
    const std::string text = std::string("{") + bad.more + "}";
    Json body = Json::parse(text);
    if (!body.contains("messages")) body["messages"] = Json::parse(R"([{"role": "user", "content": "hi"}])");
    EXPECT_THAT(error_of(parse_request(Endpoint::chat_completions, body, {}, 1)), HasSubstr(bad.error)) << bad.more;
  }
}

TEST(ParseRequest, RefusesNumbersThatAreNone) {
  Json body = Json::parse(R"({"messages": [{"role": "user", "content": "hi"}]})");
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()})
    for (const char* key : {"temperature", "top_p", "min_p", "presence_penalty"}) {
      Json with = body;
      with[key] = bad;
      EXPECT_THAT(error_of(parse_request(Endpoint::chat_completions, with, {}, 1)), HasSubstr(key));
    }
}

TEST(ParseRequest, RefusesWhatIsNotBuiltByName) {
  for (const char* more :
       {R"("stream": true)", R"("prompt_logprobs": 1)", R"("best_of": 3)", R"("tools": [{"type": "function"}])",
        R"("response_format": {"type": "json_object"})", R"("suffix": "x")", R"("guided_regex": "a*")",
        R"("chat_template_kwargs": {"enable_thinking": false})"})
    EXPECT_THAT(error_of(chat(std::string(", ") + more)), HasSubstr("not in this version")) << more;
  for (const char* more : {R"("n": 1)", R"("echo": false)", R"("tools": [])", R"("response_format": {"type": "text"})",
                           R"("top_logprobs": 0)", R"("tool_choice": "none")"})
    EXPECT_TRUE(chat(std::string(", ") + more)) << more;
}

TEST(ParseRequest, KnowsHowManyChoicesAndLogprobsAChatWants) {
  const auto request = chat(R"(, "n": 3, "best_of": 3, "logprobs": true, "top_logprobs": 5, "min_tokens": 2,
      "include_stop_str_in_output": true)");
  ASSERT_TRUE(request) << error_of(request);
  EXPECT_EQ(request->n, 3);
  EXPECT_EQ(request->logprobs.generated, 5);
  EXPECT_EQ(request->logprobs.prompt, std::nullopt);
  EXPECT_EQ(request->stop.min_tokens, 2);
  EXPECT_TRUE(request->include_stop);
  EXPECT_EQ(chat(R"(, "logprobs": true)")->logprobs.generated, 0) << "a token's own";
  const auto plain = chat(R"(, "logprobs": false, "top_logprobs": 0, "echo": false)");
  EXPECT_EQ(plain->logprobs.generated, std::nullopt);
  EXPECT_EQ(plain->n, 1);
}

TEST(ParseRequest, KnowsACompletionsLogprobsAndEcho) {
  const auto request = completion(R"({"prompt": "a", "logprobs": 4, "echo": true, "max_tokens": 0})");
  ASSERT_TRUE(request) << error_of(request);
  EXPECT_TRUE(request->echo);
  EXPECT_EQ(request->logprobs.generated, 4);
  EXPECT_EQ(request->logprobs.prompt, 4) << "an echoed prompt has its own";
  EXPECT_EQ(request->stop.max_tokens, 0);
  EXPECT_EQ(completion(R"({"prompt": "a", "logprobs": 4})")->logprobs.prompt, std::nullopt);
  EXPECT_EQ(completion(R"({"prompt": "a", "logprobs": false})")->logprobs.generated, std::nullopt);
  EXPECT_EQ(completion(R"({"prompt": "a", "echo": true, "max_tokens": 0})")->logprobs.prompt, 0)
      << "an engine that generates nothing must have something to do";
  EXPECT_THAT(error_of(completion(R"({"prompt": "a", "max_tokens": 0})")), HasSubstr("'max_tokens': found 0"));
  EXPECT_THAT(error_of(completion(R"({"prompt": "a", "logprobs": true})")), HasSubstr("'logprobs': found true"));
  EXPECT_THAT(error_of(completion(R"({"prompt": "a", "logprobs": 21})")), HasSubstr("from 0 to 20"));
  EXPECT_THAT(error_of(completion(R"({"prompt": "a", "top_logprobs": 2})")), HasSubstr("'top_logprobs': found 2"));
}

TEST(ParseRequest, RefusesABodyThatIsNoObject) {
  EXPECT_THAT(error_of(parse_request(Endpoint::completions, Json::array(), {}, 1)), HasSubstr("expected an object"));
}

}  // namespace
}  // namespace weft::frontend
