// Right answers from every shape of cluster, and what is written about them.
#include <algorithm>

#include "tests/integration/run/run_test.h"
#include "tests/support/goldens.h"

namespace weft::test {
namespace {

class Answers : public RunTest {
 protected:
  // The twelve golden chats: each answered once, with the golden text and ids.
  void expect_golden() const {
    const auto found = answers();
    ASSERT_EQ(found.size(), golden_cases().size());
    for (std::size_t i = 0; i < golden_cases().size(); ++i) {
      const Json& expected = golden_cases()[i];
      const Json& answer = found.at("chat-" + std::to_string(i));
      EXPECT_EQ(text_of(answer), expected["text"]);
      EXPECT_EQ(ids_of(answer), expected["ids"]);
      EXPECT_EQ(answer["id"], "weft-" + std::to_string(i + 1));
      EXPECT_EQ(answer["response"]["status_code"], 200);
      EXPECT_TRUE(answer["error"].is_null());
      EXPECT_EQ(answer["response"]["body"]["usage"]["prompt_tokens"], expected["prompt_ids"].size());
      EXPECT_EQ(answer["response"]["body"]["usage"]["completion_tokens"], expected["ids"].size());
    }
  }
  static std::size_t golden_tokens() {
    std::size_t tokens = 0;
    for (const Json& each : golden_cases())
      tokens += each["ids"].size();
    return tokens;
  }
};

TEST_F(Answers, ComeFromTwoCopiesOnceEachAndRight) {
  write_requests(golden_chats());
  const Ended ended = run({.set = {"parallel.data=2"}});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.out, "");
  expect_golden();
  const Json told = summary();
  for (const auto& [what, count] : told["requests"].items())
    EXPECT_EQ(count, what == "total" || what == "answered" ? 12 : 0) << what;
  EXPECT_EQ(told["tokens"]["generated"], golden_tokens());
  EXPECT_TRUE(told["failures"].empty());
  EXPECT_TRUE(told["error"].is_null());
  EXPECT_FALSE(told["interrupted"].get<bool>());
  EXPECT_GT(told["tokens_per_second"].get<double>(), 0);
  for (const char* phase : {"plan_seconds", "launch_seconds", "join_seconds", "load_seconds", "first_token_seconds"})
    EXPECT_GT(told["start"][phase].get<double>(), 0) << phase;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("12 requests: 12 answered, 0 failed, 0 left"), HasSubstr("tok/s")));
}

TEST_F(Answers, OfASharedQueueAreSpreadOverTheCopies) {
  write_requests(golden_chats());
  ASSERT_EQ(run({.set = {"parallel.data=2"}}).code, 0);
  const Json replicas = summary()["replicas"];
  ASSERT_EQ(replicas.size(), 2U);
  for (const Json& replica : replicas)
    EXPECT_GE(replica["requests"], 3) << replicas;
}

TEST_F(Answers, AreTheSameWithTwoTensorRanks) {
  write_requests(golden_chats());
  const Ended ended = run({.set = {"parallel.tensor=2"}});
  ASSERT_EQ(ended.code, 0) << ended.err;
  expect_golden();
}

TEST_F(Answers, AreTheSameOverEveryCommunicatorWithTwoAndFourTensorRanks) {
  for (const std::string plugin : {"gloo", "shm"})
    for (const std::string tensor : {"2", "4"}) {
      SCOPED_TRACE(plugin + ", tensor " + tensor);
      write_requests(golden_chats());
      std::filesystem::remove(path("results.jsonl"));
      std::filesystem::remove(path("results.jsonl.weft-run"));
      const Ended ended = run({.set = {"parallel.tensor=" + tensor, "parallel.oversubscribe=true",
                                       "communicator.plugin=" + plugin, "communicator.control=" + plugin}});
      ASSERT_EQ(ended.code, 0) << ended.err;
      expect_golden();
    }
}

TEST_F(Answers, AreTheSameWithTwoPipelineStages) {
  write_requests(golden_chats());
  const Ended ended = run({.set = {"parallel.pipeline=2"}});
  ASSERT_EQ(ended.code, 0) << ended.err;
  expect_golden();
}

TEST_F(Answers, AreTheSameWithEveryKindOfParallelismAtOnce) {
  write_requests(golden_chats());
  const Ended ended = run({.set = {"parallel.data=2", "parallel.tensor=2", "parallel.pipeline=2"}});
  ASSERT_EQ(ended.code, 0) << ended.err;
  expect_golden();
}

TEST_F(Answers, AreTheSameOneAtATimeAndWithLittleMemory) {
  write_requests(golden_chats());
  const Ended ended = run({.set = {"engine.max_requests=1", "engine.kv_memory=1MiB", "model.max_context=256"}});
  ASSERT_EQ(ended.code, 0) << ended.err;
  expect_golden();
}

TEST_F(Answers, OfAStaticDistributionAreSplitEvenlyInInputOrder) {
  std::vector<Json> requests;
  for (int i = 0; i < 13; ++i)  // the first seven say one token each, the last six two
    requests.push_back(long_chat("r" + std::to_string(i), i < 7 ? 1 : 2));
  write_requests(requests);
  const Ended ended = run({.set = {"parallel.data=2", "batch.distribution=static"}});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(answers().size(), 13U);
  const Json replicas = summary()["replicas"];
  EXPECT_EQ(replicas[0]["requests"], 7);
  EXPECT_EQ(replicas[0]["tokens"], 7);
  EXPECT_EQ(replicas[1]["requests"], 6);
  EXPECT_EQ(replicas[1]["tokens"], 12);
}

TEST_F(Answers, ToPromptsOfEveryKindAndFormAreTheSame) {
  const Json& golden = golden_cases()[0];
  Json chat = {{"messages", golden["messages"]}, {"temperature", 0}, {"return_token_ids", true}, {"max_tokens", 64}};
  Json completion = chat;
  completion.erase("messages");
  completion["prompt"] = golden["prompt"];
  Json ids = completion;
  ids["prompt"] = golden["prompt_ids"];
  const auto whole = [](const char* id, const char* url, Json body) -> Json {
    body["model"] = "weft-tiny";
    return {{"custom_id", id}, {"method", "POST"}, {"url", url}, {"body", std::move(body)}};
  };
  const auto brief = [](const char* id, Json body) {
    body["custom_id"] = id;
    return body;
  };
  write_requests({brief("chat", chat), brief("text", completion), brief("ids", ids),
                  whole("whole chat", "/v1/chat/completions", chat), whole("whole text", "/v1/completions", completion),
                  whole("whole ids", "/v1/completions", ids)});
  const Ended ended = run();
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto found = answers();
  ASSERT_EQ(found.size(), 6U);
  for (const auto& [id, answer] : found) {
    EXPECT_EQ(text_of(answer), golden["text"]) << id;
    EXPECT_EQ(ids_of(answer), golden["ids"]) << id;
    const bool is_chat = id.find("chat") != std::string::npos;
    EXPECT_EQ(answer["response"]["body"]["object"], is_chat ? "chat.completion" : "text_completion");
    EXPECT_EQ(answer["response"]["body"]["model"], "weft-tiny");
  }
}

// stories15M: a SentencePiece tokenizer, no chat template, six heads.
TEST_F(Answers, OfASharedStoryModelAreTheGoldenOnes) {
  WEFT_SKIP_WITHOUT("goldens/stories15M/greedy.json");
  const Json golden = Json::parse(read(shared_path("goldens/stories15M/greedy.json")), nullptr, false);
  write_config("", shared_path("models/stories15M"));
  std::vector<Json> prompts;
  constexpr int tokens = 32;
  for (const Json& each : golden["cases"])
    prompts.push_back({{"prompt", each["prompt"]},
                       {"temperature", 0},
                       {"max_tokens", tokens},
                       {"ignore_eos", true},
                       {"return_token_ids", true}});
  prompts.push_back({{"messages", Json::array({{{"role", "user"}, {"content", "Hi"}}})}});
  write_requests(prompts);
  const Ended ended = run({.set = {"parallel.tensor=2", "engine.kv_memory=64MiB"}});
  EXPECT_EQ(ended.code, 1) << ended.err;
  const auto found = answers();
  std::size_t line = 0;
  for (const Json& each : golden["cases"]) {
    const Json& ids = ids_of(found.at("line-" + std::to_string(++line)));
    for (std::size_t i = 0; i < std::min<std::size_t>(tokens, each["ids"].size()); ++i)
      ASSERT_EQ(ids[i], each["ids"][i]) << each["prompt"] << ", token " << i;
  }
  EXPECT_THAT(error_of(found.at("line-" + std::to_string(line + 1))), HasSubstr("chat template"));
}

TEST_F(Answers, HaveNoTokenIdsUnlessTheyAreAskedFor) {
  Json request = golden_chat(0);
  request.erase("return_token_ids");
  write_requests({request});
  ASSERT_EQ(run().code, 0);
  EXPECT_FALSE(results().at(0)["response"]["body"]["choices"][0].contains("token_ids"));
}

TEST_F(Answers, AreNotMadeAgainByASecondRun) {
  write_requests(golden_chats());
  ASSERT_EQ(run().code, 0);
  EXPECT_TRUE(std::filesystem::exists(path("results.jsonl.weft-run")));
  const std::string before = read("results.jsonl");
  const Ended again = run({.set = {"log.level=debug"}});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(read("results.jsonl"), before);
  EXPECT_EQ(summary()["requests"]["resumed"], 12);
  EXPECT_THAT(again.err, Not(HasSubstr("launching"))) << "nothing was left to do";
}

TEST_F(Answers, ThatAreTornAreMadeAgain) {
  write_requests(golden_chats());
  ASSERT_EQ(run().code, 0);
  const std::string before = read("results.jsonl");
  const std::size_t last_line = before.rfind('\n', before.size() - 2) + 1;
  write("results.jsonl", before.substr(0, last_line + 40));
  const Ended again = run();
  EXPECT_EQ(again.code, 0) << again.err;
  expect_golden();
  EXPECT_EQ(summary()["requests"]["resumed"], 11);
}

TEST_F(Answers, LeaveALineInTheLogForEachStepOfTheSequence) {
  write_requests(golden_chats());
  const Ended ended = run({.set = {"parallel.data=2", "log.level=debug"}});
  ASSERT_EQ(ended.code, 0) << ended.err;
  std::size_t at = 0;
  for (const std::string& step :
       std::vector<std::string>{"cluster: bound and published tcp://127.0.0.1:", "launching 1 rank(s)",
                                "every rank is placed", "Hello from pid", "every rank has joined, groups are open",
                                "configuration and weights are those of the other replicas", "loading -> ready",
                                "2 replica(s) ready", "distributing 12 requests", "results: 12 answered",
                                "settling over 2 replica(s)", "all-reduced 12 and " + std::to_string(golden_tokens()),
                                "equal to the ledger's", "ready -> stopped", "exited with code 0"}) {
    const std::size_t found = ended.err.find(step, at);
    EXPECT_NE(found, std::string::npos) << step << " is not in, or out of order:\n" << ended.err;
    if (found != std::string::npos) at = found;
  }
  EXPECT_THAT(rank_log(1), AllOf(HasSubstr("group replicas/start is open"), HasSubstr("is the one of replica 0"),
                                 HasSubstr("compared weights with 2 replicas: 1 distinct")));
}

}  // namespace
}  // namespace weft::test
