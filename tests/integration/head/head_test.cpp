// A real cluster of real worker processes, from setup to settlement, without the front-end: the tokens of weft-tiny's
// golden cases come back from every shape of replica.
#include "cli/head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <condition_variable>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/temporary_directory.h"

namespace weft::cli {
namespace {

using ::testing::HasSubstr;

constexpr auto patience = std::chrono::seconds(120);

// Collects every request's tokens and end.
class Answers final : public RouterEvents {
 public:
  void on_tokens(RequestId request, std::span<const TokenId> tokens) override {
    const std::lock_guard lock(mutex_);
    tokens_[request].insert(tokens_[request].end(), tokens.begin(), tokens.end());
    changed_.notify_all();
  }
  void on_finished(RequestId request, const Outcome& outcome) override {
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(outcomes_.emplace(request, outcome).second) << "a second terminal event";
    changed_.notify_all();
  }
  void on_room() override {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  void wait_until(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, patience, condition));
  }

  std::map<RequestId, Outcome> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, patience, [&] { return outcomes_.size() >= count; }));
    return outcomes_;
  }
  void wait_for_tokens(RequestId request, std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, patience, [&] { return tokens_[request].size() >= count; }));
  }
  std::vector<TokenId> tokens(RequestId request) {
    const std::lock_guard lock(mutex_);
    return tokens_[request];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<RequestId, std::vector<TokenId>> tokens_;
  std::map<RequestId, Outcome> outcomes_;
};

struct Shape {
  int data;
  int tensor;
  int pipeline;
};

class HeadTest : public ::testing::TestWithParam<Shape> {
 protected:
  std::unique_ptr<cli::Setup> prepare(std::vector<std::string> overrides) {
    const std::string file =
        directory_.write("weft.toml", "[model]\npath = \"" WEFT_SOURCE_DIR "/models/weft-tiny\"\ndtype = \"f32\"\n");
    for (const std::string& fixed : {"cluster.run_dir=" + directory_.file("run"), std::string("engine.kv_memory=16MiB"),
                                     std::string("log.level=debug"), std::string("timeouts.lease=60s")})
      overrides.push_back(fixed);
    int code = 0;
    auto made = make_setup(
        {.config_file = file, .overrides = std::move(overrides), .plugin_dirs = {WEFT_BUILD_DIR "/lib/weft/plugins"}},
        code);
    EXPECT_NE(made, nullptr) << code;
    return made;
  }
  Result<std::unique_ptr<Head>> start(cli::Setup& setup) {
    return Head::start(
        setup, answers_,
        [this](const Error& why) {
          const std::lock_guard lock(mutex_);
          lost_ = why.message;
        },
        WEFT_BUILD_DIR "/bin/weft");
  }
  RequestId submit(Head& head, std::vector<TokenId> prompt, std::int32_t max_tokens, bool ignore_eos = false) {
    Request request{.id = head.router().next_id(), .prompt = std::move(prompt)};
    request.sampling.temperature = 0;
    request.stop.max_tokens = max_tokens;
    request.stop.ignore_eos = ignore_eos;
    const RequestId id = request.id;
    const auto replica = head.router().submit(std::move(request), std::nullopt);
    EXPECT_TRUE(replica) << replica.error().message;
    return id;
  }
  std::string lost() {
    const std::lock_guard lock(mutex_);
    return lost_;
  }

  test::TemporaryDirectory directory_;
  Answers answers_;
  std::mutex mutex_;
  std::string lost_;
};

TEST_P(HeadTest, GivesTheGoldenTokensAndSettles) {
  const auto& [copies, tensor, pipeline] = GetParam();
  const int data = copies;  // no lambda of clang 14 takes a structured binding
  std::ifstream file(WEFT_SOURCE_DIR "/tests/golden/data/weft-tiny-greedy.json");
  const auto golden = nlohmann::json::parse(file);
  const auto made = prepare({"parallel.data=" + std::to_string(data), "parallel.tensor=" + std::to_string(tensor),
                             "parallel.pipeline=" + std::to_string(pipeline)});
  ASSERT_NE(made, nullptr);
  auto head = start(*made);
  ASSERT_TRUE(head) << head.error().message;
  const Status ready = (*head)->cluster().wait_ready(Deadline::in(patience));
  ASSERT_TRUE(ready) << ready.error().message;
  answers_.wait_until([&] { return (*head)->router().room(std::nullopt) >= made->config.engine.max_requests * data; });
  std::map<RequestId, std::vector<TokenId>> expected;
  for (const auto& golden_case : golden["cases"])
    expected[submit(**head, golden_case["prompt_ids"].get<std::vector<TokenId>>(), 160)] =
        golden_case["ids"].get<std::vector<TokenId>>();
  const auto outcomes = answers_.wait_for(expected.size());
  for (const auto& [id, ids] : expected) {
    EXPECT_EQ(answers_.tokens(id), ids);
    EXPECT_EQ(outcomes.at(id).reason, FinishReason::stop);
  }
  const auto settlement = (*head)->cluster().settle(Deadline::in(std::chrono::seconds(20)));
  ASSERT_TRUE(settlement) << settlement.error().message;
  std::int64_t tokens = 0;
  for (const auto& [id, ids] : expected)
    tokens += static_cast<std::int64_t>(ids.size());
  EXPECT_EQ(settlement->requests, static_cast<std::int64_t>(expected.size()));
  EXPECT_EQ(settlement->tokens, tokens);
  EXPECT_TRUE((*head)->cluster().stop(std::chrono::seconds(5)));
  EXPECT_EQ(lost(), "");
}

INSTANTIATE_TEST_SUITE_P(Shapes, HeadTest,
                         ::testing::Values(Shape{1, 1, 1}, Shape{2, 1, 1}, Shape{1, 2, 1}, Shape{1, 4, 1},
                                           Shape{1, 1, 2}, Shape{2, 2, 1}),
                         [](const auto& shape) {
                           return "Data" + std::to_string(shape.param.data) + "Tensor" +
                                  std::to_string(shape.param.tensor) + "Pipeline" +
                                  std::to_string(shape.param.pipeline);
                         });

}  // namespace
}  // namespace weft::cli
