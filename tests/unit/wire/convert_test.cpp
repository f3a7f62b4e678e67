#include "core/wire/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace weft::wire {
namespace {

using testing::HasSubstr;

Request some_request() {
  return Request{.id = 0xfeed'0000'0001,
                 .prompt = {1, 2, 3},
                 .emitted = {4},
                 .choice = 2,
                 .sampling = {.temperature = 0.5,
                              .top_k = 40,
                              .top_p = 0.9,
                              .min_p = 0.1,
                              .repetition_penalty = 1e9,  // "above 0" has no upper end
                              .presence_penalty = -0.5,
                              .frequency_penalty = 0.25,
                              .logit_bias = {{7, -100.0f}, {8, 1.5f}},
                              .seed = ~std::uint64_t{0}},
                 .stop = {.max_tokens = 64,
                          .min_tokens = 5,
                          .stop_token_ids = {9},
                          .stop_strings = {"\n\n", "é"},
                          .ignore_eos = true},
                 .deadline_ms = 1500,
                 .priority = -3,
                 .logprobs = {.generated = 0, .prompt = 20},
                 .prompt_scored = 2};
}

TEST(Convert, ARequestComesBackWhole) {
  const Request sent = some_request();
  Submit submit;
  ASSERT_TRUE(submit.ParseFromString(to_wire(sent).SerializeAsString()));
  const auto got = from_wire(submit);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->id, sent.id);
  EXPECT_EQ(got->prompt, sent.prompt);
  EXPECT_EQ(got->emitted, sent.emitted);
  EXPECT_EQ(got->choice, sent.choice);
  EXPECT_EQ(got->sampling.temperature, sent.sampling.temperature);
  EXPECT_EQ(got->sampling.top_k, sent.sampling.top_k);
  EXPECT_EQ(got->sampling.top_p, sent.sampling.top_p);
  EXPECT_EQ(got->sampling.min_p, sent.sampling.min_p);
  EXPECT_EQ(got->sampling.repetition_penalty, sent.sampling.repetition_penalty);
  EXPECT_EQ(got->sampling.presence_penalty, sent.sampling.presence_penalty);
  EXPECT_EQ(got->sampling.frequency_penalty, sent.sampling.frequency_penalty);
  EXPECT_EQ(got->sampling.logit_bias, sent.sampling.logit_bias);
  EXPECT_EQ(got->sampling.seed, sent.sampling.seed);
  EXPECT_EQ(got->stop.max_tokens, sent.stop.max_tokens);
  EXPECT_EQ(got->stop.stop_token_ids, sent.stop.stop_token_ids);
  EXPECT_EQ(got->stop.stop_strings, sent.stop.stop_strings);
  EXPECT_EQ(got->stop.ignore_eos, sent.stop.ignore_eos);
  EXPECT_EQ(got->deadline_ms, sent.deadline_ms);
  EXPECT_EQ(got->priority, sent.priority);
  EXPECT_EQ(got->stop.min_tokens, sent.stop.min_tokens);
  EXPECT_EQ(got->logprobs.generated, 0) << "none of the best, but the token's own";
  EXPECT_EQ(got->logprobs.prompt, 20);
  EXPECT_EQ(got->prompt_scored, 2);
  submit.clear_logprobs();
  EXPECT_EQ(from_wire(submit)->logprobs.generated, std::nullopt);
}

TEST(Convert, RefusesARequestThatCannotBeAndNamesTheField) {
  const auto refused = [](void (*change)(Submit&)) {
    Submit submit = to_wire(some_request());
    change(submit);
    const auto got = from_wire(submit);
    return got ? std::string("accepted") : got.error().message;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(refused([](Submit& s) { s.set_request(0); }), HasSubstr("request: 0"));
  EXPECT_THAT(refused([](Submit& s) { s.clear_prompt(); }), HasSubstr("prompt: no tokens"));
  EXPECT_THAT(refused([](Submit& s) { s.set_prompt(1, -1); }), HasSubstr("prompt: id -1 at index 1"));
  EXPECT_THAT(refused([](Submit& s) { s.add_emitted(-5); }), HasSubstr("emitted: id -5"));
  EXPECT_THAT(refused([](Submit& s) { s.mutable_prompt()->Resize((4 << 20) + 1, 0); }), HasSubstr("at most"));
  EXPECT_THAT(refused([](Submit& s) {
                s.set_max_tokens(0);
                s.clear_prompt_logprobs();
              }),
              HasSubstr("max_tokens: 0, expected 1 or more"));
  EXPECT_THAT(refused([](Submit& s) { s.set_max_tokens(-1); }), HasSubstr("max_tokens: -1, expected 0 or more"));
  EXPECT_THAT(refused([](Submit& s) { s.set_min_tokens(65); }), HasSubstr("min_tokens: 65, expected 0 to"));
  EXPECT_THAT(refused([](Submit& s) { s.set_logprobs(21); }), HasSubstr("logprobs: 21, expected 0 to 20"));
  EXPECT_THAT(refused([](Submit& s) { s.set_prompt_logprobs(-1); }), HasSubstr("prompt_logprobs: -1"));
  EXPECT_THAT(refused([](Submit& s) { s.set_prompt_scored(3); }), HasSubstr("prompt_scored: 3, expected 0 to 2"));
  EXPECT_THAT(refused([](Submit& s) { s.set_choice(-1); }), HasSubstr("choice: -1"));
  EXPECT_THAT(refused([](Submit& s) { s.set_deadline_ms(-1); }), HasSubstr("deadline_ms: -1"));
  EXPECT_THAT(refused([](Submit& s) { s.add_stop_token_ids(-2); }), HasSubstr("stop_token_ids: id -2"));
  EXPECT_THAT(refused([](Submit& s) { s.add_stop_strings(""); }), HasSubstr("stop_strings: 0 bytes"));
  EXPECT_THAT(refused([](Submit& s) { s.mutable_sampling()->set_top_k(-1); }), HasSubstr("top_k: -1"));
  EXPECT_THAT(refused([](Submit& s) { s.mutable_sampling()->set_top_p(1.5); }), HasSubstr("top_p: 1.5"));
  EXPECT_THAT(refused([](Submit& s) { s.mutable_sampling()->add_bias_ids(1); }),
              HasSubstr("bias_values: 2 values for 3"));
  Submit submit = to_wire(some_request());
  submit.mutable_sampling()->set_temperature(nan);
  EXPECT_FALSE(from_wire(submit));
}

TEST(Convert, AnErrorComesBackAndAnUnknownCodeIsInternal) {
  const Error error{.code = ErrorCode::unavailable, .message = "gone", .retryable = true};
  const Error back = from_wire(to_wire(error));
  EXPECT_EQ(back.code, error.code);
  EXPECT_EQ(back.message, error.message);
  EXPECT_TRUE(back.retryable);
  for (const int code : {0, -1, 15, 1 << 30}) {
    ErrorInfo info;
    info.set_code(code);
    EXPECT_EQ(from_wire(info).code, ErrorCode::internal) << code;
  }
}

TEST(Convert, AnErrorWithBytesThatAreNoTextStillTravels) {
  const Error error{.code = ErrorCode::internal, .message = "file '\xff\xc0' \xed\xa0\x80 é", .retryable = false};
  ErrorInfo back;
  ASSERT_TRUE(back.ParseFromString(to_wire(error).SerializeAsString()));
  EXPECT_EQ(back.message(), "file '?\?' ??? é");
}

TEST(Convert, KeepsTextAndReplacesWhatIsNone) {
  EXPECT_EQ(to_utf8("aé€😀"), "aé€😀");
  EXPECT_EQ(to_utf8("\xc3"), "?");
  EXPECT_EQ(to_utf8("\xe2\x82"), "??");
  EXPECT_EQ(to_utf8("\xf4\x90\x80\x80"), "????");
  EXPECT_EQ(to_utf8("\xc0\x80"), "??");
}

TEST(Convert, AStepComesBackWhole) {
  StepOutput step;
  step.set_step(5);
  add_update({.request = 1,
              .tokens = {10, 11},
              .error = std::nullopt,
              .matched_stop = {},
              .logprobs = {{.token = {10, -0.5}, .best = {{4, -0.25}, {10, -0.5}}}, {.token = {11, -2}, .best = {}}},
              .prompt_logprobs = {{.token = {3, -std::numeric_limits<double>::infinity()}, .best = {}}}},
             step);
  add_update({.request = 2,
              .tokens = {},
              .finish_reason = FinishReason::stop,
              .error = std::nullopt,
              .matched_stop = "END",
              .text_offset = 12},
             step);
  add_update({.request = 3,
              .tokens = {},
              .finish_reason = FinishReason::error,
              .error = Error{.code = ErrorCode::internal, .message = "x", .retryable = false},
              .matched_stop = {}},
             step);
  const auto updates = from_wire(step);
  ASSERT_TRUE(updates) << updates.error().message;
  ASSERT_EQ(updates->size(), 3u);
  EXPECT_EQ((*updates)[0].tokens, (std::vector<TokenId>{10, 11}));
  EXPECT_EQ((*updates)[0].text_offset, -1);
  ASSERT_EQ((*updates)[0].logprobs.size(), 2u);
  EXPECT_EQ((*updates)[0].logprobs[0].token.logprob, -0.5);
  ASSERT_EQ((*updates)[0].logprobs[0].best.size(), 2u);
  EXPECT_EQ((*updates)[0].logprobs[0].best[0].id, 4);
  EXPECT_EQ((*updates)[0].logprobs[0].best[0].logprob, -0.25);
  EXPECT_EQ((*updates)[0].logprobs[1].token.id, 11);
  ASSERT_EQ((*updates)[0].prompt_logprobs.size(), 1u);
  EXPECT_EQ((*updates)[0].prompt_logprobs[0].token.id, 3);
  EXPECT_TRUE((*updates)[1].logprobs.empty());
  EXPECT_EQ((*updates)[1].finish_reason, FinishReason::stop);
  EXPECT_EQ((*updates)[1].matched_stop, "END");
  EXPECT_EQ((*updates)[1].text_offset, 12);
  EXPECT_EQ((*updates)[2].error->message, "x");
}

TEST(Convert, RefusesAStepThatCannotBe) {
  const auto refused = [](void (*change)(RequestOutput&)) {
    StepOutput step;
    RequestOutput& output = *step.add_outputs();
    output.set_request(9);
    change(output);
    const auto got = from_wire(step);
    return got ? std::string("accepted") : got.error().message;
  };
  static const auto add = [](RequestOutput& output) -> TokenLogprobs& {
    output.add_tokens(1);
    TokenLogprobs& one = *output.add_logprobs();
    one.add_ids(1);
    one.add_logprobs(-1);
    return one;
  };
  EXPECT_EQ(refused([](RequestOutput& o) { add(o); }), "accepted");
  EXPECT_THAT(refused([](RequestOutput& o) {
                add(o);
                o.add_tokens(2);
              }),
              HasSubstr("logprobs: of 1 tokens, expected of 2"));
  EXPECT_THAT(refused([](RequestOutput& o) { add(o).add_ids(2); }), HasSubstr("logprobs: 2 ids and 1 values"));
  EXPECT_THAT(refused([](RequestOutput& o) { add(o).set_ids(0, -1); }), HasSubstr("logprobs: id -1"));
  EXPECT_THAT(refused([](RequestOutput& o) { add(o).set_logprobs(0, std::nan("")); }), HasSubstr("logprobs: nan"));
  EXPECT_THAT(refused([](RequestOutput& o) { add(o).set_logprobs(0, 2); }), HasSubstr("expected 0 or less"));
  EXPECT_THAT(refused([](RequestOutput& o) { o.add_prompt_logprobs(); }), HasSubstr("prompt_logprobs: 0 ids"));
  EXPECT_EQ(refused([](RequestOutput&) {}), "accepted");
  EXPECT_THAT(refused([](RequestOutput& o) { o.set_request(0); }), HasSubstr("request 0"));
  EXPECT_THAT(refused([](RequestOutput& o) { o.add_tokens(-1); }), HasSubstr("request 9: tokens: id -1"));
  EXPECT_THAT(refused([](RequestOutput& o) { o.set_finish_reason(6); }), HasSubstr("finish_reason: 6"));
  EXPECT_THAT(refused([](RequestOutput& o) { o.set_finish_reason(4); }), HasSubstr("expected one beside it"));
  EXPECT_THAT(refused([](RequestOutput& o) { o.set_text_offset(-2); }), HasSubstr("text_offset: -2"));
  EXPECT_THAT(refused([](RequestOutput& o) { o.mutable_tokens()->Resize(65537, 1); }), HasSubstr("at most 65536"));
}

}  // namespace
}  // namespace weft::wire
