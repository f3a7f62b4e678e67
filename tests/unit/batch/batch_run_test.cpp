// Whole runs against a router that answers in random order.
#include "frontend/batch/batch_run.h"

#include <algorithm>
#include <set>

#include "tests/support/sanitized.h"
#include "tests/unit/batch/batch_fixture.h"

namespace weft::frontend {
namespace {

using test::FakeAnswer;
using test::FakeRouter;
using test::prompt_line;
using test::prompt_lines;
using testing::AllOf;
using testing::HasSubstr;
using testing::Pair;
using testing::StartsWith;
using testing::UnorderedElementsAre;

class Batch : public test::BatchTest {};

TEST_F(Batch, EveryLineGetsItsOwnAnswerOnce) {
  write_input(prompt_lines(100));
  const auto summary = run(options());
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->lines, 100);
  EXPECT_EQ(summary->answered, 100);
  EXPECT_EQ(summary->left, 0);
  EXPECT_EQ(summary->prompt_tokens, 100);
  EXPECT_EQ(summary->generated_tokens, 300);
  EXPECT_EQ(summary->replicas.at(0).requests + summary->replicas.at(1).requests, 100);
  EXPECT_GT(summary->first_token_seconds, 0);
  const auto all = results();
  ASSERT_EQ(all.size(), 100U);
  for (int id = 1; id <= 100; ++id) {
    const auto& result = all.at("weft-" + std::to_string(id));
    EXPECT_EQ(result["custom_id"], "r" + std::to_string(id));
    EXPECT_TRUE(result["error"].is_null());
    EXPECT_EQ(result["response"]["status_code"], 200);
    EXPECT_EQ(result["response"]["body"]["choices"][0]["token_ids"], nlohmann::json({id, id, id}));
    EXPECT_EQ(result["response"]["body"]["usage"]["total_tokens"], 4);
  }
}

TEST_F(Batch, ASecondRunHasNothingToDo) {
  write_input(prompt_lines(5));
  ASSERT_TRUE(run(options()));
  const std::string before = output();
  const auto again = BatchRun::open(options(), {}).value();
  EXPECT_FALSE(again->has_work());
  EXPECT_EQ(again->summary().resumed, 5);
  EXPECT_EQ(again->summary().left, 0);
  EXPECT_EQ(output(), before);
}

TEST_F(Batch, AnInputWithoutRequestsMakesAnEmptyOutput) {
  write_input("\n  \n");
  const auto batch = BatchRun::open(options(), {}).value();
  EXPECT_FALSE(batch->has_work());
  EXPECT_TRUE(std::filesystem::exists(options().output));
  EXPECT_EQ(output(), "");
  EXPECT_THAT(summary_text(batch->summary()), HasSubstr("no requests"));
}

TEST_F(Batch, BrokenLinesAreAnsweredWithTheirErrorsAndTheOthersRun) {
  write_input(prompt_line(1) + "{broken\n" + prompt_line(3) + "{\"custom_id\": \"x\"}\n" + prompt_line(1) +
              "{\"custom_id\": \"text\", \"prompt\": \"no tokenizer\"}\n" + prompt_line(7));
  const auto summary = run(options());
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->answered, 3);
  EXPECT_EQ(summary->failed, 4);
  EXPECT_THAT(summary->failures, UnorderedElementsAre(Pair("invalid_argument", 4)));
  const auto all = results();
  ASSERT_EQ(all.size(), 7U);
  EXPECT_EQ(all.at("weft-2")["custom_id"], "line-2");
  EXPECT_EQ(all.at("weft-2")["response"]["status_code"], 400);
  const std::string unread = all.at("weft-2")["error"]["message"];
  EXPECT_THAT(unread, StartsWith(options().input + ": line 2: column 2: not JSON"));
  EXPECT_THAT(unread, HasSubstr("no custom_id can be read from it, so its answer's is line-2"));
  EXPECT_EQ(all.at("weft-4")["custom_id"], "x");
  EXPECT_THAT(std::string(all.at("weft-5")["error"]["message"]), HasSubstr("line 1's already"));
  EXPECT_THAT(std::string(all.at("weft-6")["error"]["message"]), HasSubstr("has no tokenizer"));
  EXPECT_FALSE(BatchRun::open(options(), {}).value()->has_work());
}

TEST_F(Batch, PermanentErrorsOfReplicasAreWrittenAndTransientOnesLeft) {
  write_input(prompt_lines(6));
  const auto answer = [](const Request& request) -> FakeAnswer {
    switch (request.prompt.front()) {
      case 2:
        return {.tokens = {2},
                .outcome = {.reason = FinishReason::error, .error = {ErrorCode::invalid_argument, "no"}}};
      case 3:
        return {.tokens = {3},
                .outcome = {.reason = FinishReason::error, .error = {ErrorCode::unavailable, "gone", true}}};
      case 4: return {.tokens = {}, .outcome = {.reason = FinishReason::cancelled}};
      default: return {.tokens = {9}, .outcome = {.reason = FinishReason::stop}};
    }
  };
  const auto summary = run(options(), {.answer = answer});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->answered, 3);
  EXPECT_EQ(summary->failed, 1);
  EXPECT_EQ(summary->left, 2);
  EXPECT_THAT(summary->failures,
              UnorderedElementsAre(Pair("invalid_argument", 1), Pair("unavailable", 1), Pair("cancelled", 1)));
  EXPECT_EQ(results().size(), 4U);
  const auto rest = run(options());
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->resumed, 4);
  EXPECT_EQ(rest->answered, 2);
  EXPECT_EQ(results().size(), 6U);
}

std::string choices_line(int id, int n, const char* more = "") {
  return "{\"custom_id\": \"r" + std::to_string(id) + "\", \"prompt\": [" + std::to_string(id) +
         "], \"n\": " + std::to_string(n) + more + "}\n";
}

FakeAnswer answer_by_choice(const Request& request) {
  return {.tokens = {request.prompt.front(), request.choice}, .outcome = {.reason = FinishReason::length}};
}

TEST_F(Batch, ARequestForSeveralChoicesIsOneAnswer) {
  // More choices than there is room for at once, beside requests for one.
  write_input(choices_line(1, 20) + prompt_line(2) + choices_line(3, 5) + choices_line(4, 1));
  const auto batch = BatchRun::open(options(), {}).value();
  FakeRouter router(*batch, {.capacity = 3, .answer = answer_by_choice});
  const auto summary = batch->run(router);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->answered, 4);
  EXPECT_EQ(summary->prompt_tokens, 4) << "each prompt once";
  EXPECT_EQ(summary->generated_tokens, 2 * 27);
  const auto all = results();
  ASSERT_EQ(all.size(), 4U);
  for (const auto& [line, n] : std::map<int, int>{{1, 20}, {2, 1}, {3, 5}, {4, 1}}) {
    const auto& body = all.at("weft-" + std::to_string(line))["response"]["body"];
    ASSERT_EQ(body["choices"].size(), static_cast<std::size_t>(n));
    for (int choice = 0; choice < n; ++choice) {
      EXPECT_EQ(body["choices"][static_cast<std::size_t>(choice)]["index"], choice);
      EXPECT_EQ(body["choices"][static_cast<std::size_t>(choice)]["token_ids"], nlohmann::json({line, choice}));
    }
  }
  std::map<TokenId, std::set<std::uint64_t>> seeds;
  for (const auto& submission : router.submissions())
    seeds[submission.prompt.front()].insert(submission.seed);
  for (const auto& [prompt, of_prompt] : seeds)
    EXPECT_EQ(of_prompt.size(), 1U) << "choices differ in their number, not in their seed";
}

TEST_F(Batch, ARequestOfWhichAChoiceFailsIsOneError) {
  write_input(choices_line(1, 30) + choices_line(2, 30) + prompt_line(3));
  const auto answer = [](const Request& request) -> FakeAnswer {
    if (request.choice < 2 || request.prompt.front() == 3) return answer_by_choice(request);
    const bool permanent = request.prompt.front() == 1;
    return {.tokens = {},
            .outcome = {.reason = FinishReason::error,
                        .error = {permanent ? ErrorCode::invalid_argument : ErrorCode::unavailable, "no", !permanent}}};
  };
  const auto batch = BatchRun::open(options(), {}).value();
  FakeRouter router(*batch, {.capacity = 2, .answer = answer});
  const auto summary = batch->run(router);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->answered, 1);
  EXPECT_EQ(summary->failed, 1);
  EXPECT_EQ(summary->left, 1);
  EXPECT_THAT(summary->failures, UnorderedElementsAre(Pair("invalid_argument", 1), Pair("unavailable", 1)));
  EXPECT_EQ(results().size(), 2U);
  EXPECT_LT(router.submissions().size(), 30U) << "the choices that were left are not submitted";
  EXPECT_EQ(router.under_way(), 0U);
}

TEST_F(Batch, LogprobsComeWithTheirTokensAndLostOnesAreNoticed) {
  write_input(choices_line(1, 2, R"(, "logprobs": 0, "echo": true)") + choices_line(2, 1, R"(, "logprobs": 0)"));
  const auto answer = [](const Request& request) {
    FakeAnswer made{.tokens = {7, 8}, .outcome = {.reason = FinishReason::length}};
    made.logprobs = {{.token = {7, -0.5}, .best = {}}, {.token = {8, -1.5 - request.choice}, .best = {}}};
    if (request.prompt.front() == 2) made.logprobs.pop_back();
    return made;
  };
  const auto summary = run(options(), {.answer = answer});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->answered, 1);
  EXPECT_EQ(summary->left, 1) << "its log-probabilities did not all come";
  const auto choices = results().at("weft-1")["response"]["body"]["choices"];
  EXPECT_EQ(choices[0]["logprobs"]["token_logprobs"], nlohmann::json({nullptr, -0.5, -1.5}));
  EXPECT_EQ(choices[1]["logprobs"]["token_logprobs"], nlohmann::json({nullptr, -0.5, -2.5}));
}

TEST_F(Batch, AnAnswerWhoseTokensDidNotAllComeIsLeft) {
  write_input(prompt_lines(1));
  struct Losing final : RouterEvents {
    explicit Losing(BatchRun& to) : batch(to) {}
    void on_tokens(RequestId, std::span<const TokenId>) override {}
    void on_finished(RequestId request, const Outcome& outcome) override { batch.on_finished(request, outcome); }
    void on_room() override { batch.on_room(); }
    BatchRun& batch;
  };
  const auto batch = BatchRun::open(options(), {}).value();
  Losing losing(*batch);
  FakeRouter router(losing, {});
  const auto summary = batch->run(router);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->left, 1);
  EXPECT_EQ(output(), "");
}

TEST_F(Batch, ReadsAheadNoFurtherThanItsWindowHoweverLongTheFile) {
  constexpr int count = test::sanitized ? 5'000 : 30'000;
  constexpr int window = 50;
  std::string text;
  for (int id = 1; id <= count; ++id)  // later lines are longer, so the line read last always goes first
    text += prompt_line(id, 1 + id);
  write_input(text);
  auto with_window = options();
  with_window.window = window;
  with_window.max_context = 0;
  const auto batch = BatchRun::open(with_window, {}).value();
  FakeRouter router(*batch, {.capacity = 64, .answer = [](const Request& request) {
                               return FakeAnswer{.tokens = {request.prompt.front()},
                                                 .outcome = {.reason = FinishReason::length}};
                             }});
  const auto summary = batch->run(router);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->answered, count);
  const auto submissions = router.submissions();
  ASSERT_EQ(submissions.size(), static_cast<std::size_t>(count));
  int furthest = 0;
  for (std::size_t i = 0; i < submissions.size(); ++i)
    furthest = std::max(furthest, submissions[i].prompt.front() - static_cast<int>(i));
  EXPECT_LE(furthest, window);
  EXPECT_GT(furthest, window / 2);
}

TEST_F(Batch, StaticDistributionGivesEachReplicaItsPartInOrder) {
  write_input(prompt_lines(41));
  auto fixed = options();
  fixed.distribution = "static";
  fixed.window = 6;
  const auto batch = BatchRun::open(fixed, {}).value();
  FakeRouter router(*batch, {.capacity = 3});
  const auto summary = batch->run(router);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->answered, 41);
  std::map<ReplicaId, std::vector<int>> parts;
  for (const auto& submission : router.submissions())
    parts[submission.replica].push_back(submission.prompt.front());
  ASSERT_EQ(parts[0].size(), 21U);
  ASSERT_EQ(parts[1].size(), 20U);
  EXPECT_TRUE(std::is_sorted(parts[0].begin(), parts[0].end()));
  EXPECT_TRUE(std::is_sorted(parts[1].begin(), parts[1].end()));
  EXPECT_EQ(parts[0].back(), 21);
  EXPECT_EQ(parts[1].front(), 22);
}

TEST_F(Batch, AFullDeviceEndsTheRunWithAClearError) {
  write_input(prompt_lines(50));
  auto full = options();
  full.output = "/dev/full";
  const auto batch = BatchRun::open(full, {}).value();
  FakeRouter router(*batch, {});
  const auto summary = batch->run(router);
  ASSERT_FALSE(summary);
  EXPECT_THAT(summary.error().message, AllOf(HasSubstr("/dev/full"), HasSubstr("No space left on device")));
  EXPECT_EQ(batch->summary().answered, 0);
}

TEST_F(Batch, AMissingInputIsNotFound) {
  const auto batch = BatchRun::open(options(), {});
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().code, ErrorCode::not_found);
  EXPECT_FALSE(std::filesystem::exists(options().output));
}

TEST_F(Batch, RoomIsWaitedFor) {
  write_input(prompt_lines(3));
  const auto batch = BatchRun::open(options(), {}).value();
  FakeRouter router(*batch, {.after = nullptr});
  router.set_down(0, 1, {ErrorCode::unavailable, "not yet"});
  router.set_down(1, 1, {ErrorCode::unavailable, "not yet"});
  std::thread later([&] { router.set_ready(1, 1); });
  const auto summary = batch->run(router);
  later.join();
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->answered, 3);
  EXPECT_EQ(summary->replicas.at(0).requests, 0);
}

TEST_F(Batch, ARefusedSubmissionIsTriedAgain) {
  write_input(prompt_lines(3));
  const auto batch = BatchRun::open(options(), {}).value();
  FakeRouter router(*batch, {});
  router.refuse_next_submission({ErrorCode::unavailable, "a link was lost", true});
  const auto summary = batch->run(router);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->answered, 3);
}

TEST_F(Batch, ABrokenBalancerEndsTheRun) {
  write_input(prompt_lines(3));
  const auto batch = BatchRun::open(options(), {}).value();
  FakeRouter router(*batch, {});
  router.refuse_next_submission({ErrorCode::internal, "balancer: picked replica 9"});
  const auto summary = batch->run(router);
  ASSERT_TRUE(summary);
  ASSERT_TRUE(summary->error);
  EXPECT_THAT(summary->error->message, HasSubstr("balancer: picked replica 9"));
  EXPECT_EQ(summary->left, 3);
}

}  // namespace
}  // namespace weft::frontend
