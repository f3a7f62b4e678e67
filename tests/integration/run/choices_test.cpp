// Choices, log-probabilities, echo and stops as a client sees them, and that none of them depends on what else runs.
#include <algorithm>

#include "tests/integration/run/run_test.h"

namespace weft::test {
namespace {

Json choices_of(const Json& answer) { return answer["response"]["body"]["choices"]; }

class Choices : public RunTest {
 protected:
  // Seeded and at temperature 1, as any client's requests may be.
  static Json sampled(const std::string& custom_id, int seed, int tokens, Json more = Json::object()) {
    Json request = {{"custom_id", custom_id},  {"prompt", "Once upon a time, there was a"},
                    {"temperature", 1.0},      {"seed", seed},
                    {"max_tokens", tokens},    {"ignore_eos", true},
                    {"return_token_ids", true}};
    request.update(more);
    return request;
  }
  static std::vector<Json> probes() {
    const Json logprobs = {{"n", 2}, {"logprobs", 3}, {"echo", true}};
    return {sampled("greedy", 1, 24, {{"temperature", 0}, {"logprobs", 2}}), sampled("plain", 7, 40),
            sampled("choices", 8, 30, logprobs),
            sampled("filtered", 9, 30, {{"top_k", 40}, {"top_p", 0.9}, {"repetition_penalty", 1.2}, {"n", 3}})};
  }
  // What a client can see of each probe's choices.
  std::map<std::string, Json> seen(const std::string& output) const {
    std::map<std::string, Json> all;
    for (const auto& [id, answer] : answers(output))
      if (id.find("filler") == std::string::npos) all[id] = choices_of(answer);
    return all;
  }
};

TEST_F(Choices, DoNotDependOnNeighboursReplicaChunksOrPreemption) {
  write_requests(probes());
  ASSERT_EQ(run({.set = {"engine.max_requests=1"}, .output = "alone.jsonl"}).code, 0);
  const auto alone = seen("alone.jsonl");
  ASSERT_EQ(alone.size(), 4U);
  EXPECT_NE(alone.at("choices")[0]["token_ids"], alone.at("choices")[1]["token_ids"]) << "each has its own draws";

  std::vector<Json> crowd;
  for (int i = 0; i < 64; ++i) {
    crowd.push_back(sampled("filler-" + std::to_string(i), 100 + i, 20 + i % 40));
    if (i % 16 == 5) crowd.push_back(probes()[static_cast<std::size_t>(i / 16)]);
  }
  write_requests(crowd, "crowd.jsonl");
  const std::vector<std::string> scarce = {"engine.kv_memory=640KiB", "engine.max_batch_tokens=24",
                                           "model.max_context=128"};
  const Ended together = run({.set = scarce, .input = "crowd.jsonl", .output = "together.jsonl"});
  ASSERT_EQ(together.code, 0) << together.err;
  std::int64_t preemptions = 0;
  const Json engines = summary()["engines"];
  for (const Json& engine : engines)
    preemptions += engine["preemptions"].get<std::int64_t>();
  EXPECT_GT(preemptions, 0) << "memory is not scarce any more";
  EXPECT_EQ(seen("together.jsonl"), alone);
  EXPECT_EQ(summary()["requests"]["answered"], 68) << "choices of a request count once";

  std::vector<std::string> copies = scarce;
  copies.push_back("parallel.data=2");
  const Ended spread = run({.set = copies, .input = "crowd.jsonl", .output = "spread.jsonl"});
  ASSERT_EQ(spread.code, 0) << spread.err;
  EXPECT_EQ(seen("spread.jsonl"), alone);
}

TEST_F(Choices, LogprobsAreThoseOfTheRawLogits) {
  std::vector<int> ids = golden_cases()[0]["prompt_ids"].get<std::vector<int>>();
  const std::size_t prompt_tokens = ids.size();
  write_requests({sampled("hot", 5, 20,
                          {{"prompt", ids},
                           {"logprobs", 4},
                           {"temperature", 1.5},
                           {"top_k", 50},
                           {"frequency_penalty", 1},
                           {"logit_bias", {{"30", 5}, {"31", -100}}}})});
  ASSERT_EQ(run().code, 0);
  const Json hot = choices_of(answers().at("hot"))[0];
  for (const char* key : {"tokens", "token_logprobs", "top_logprobs", "text_offset"})
    EXPECT_EQ(hot["logprobs"][key].size(), 20U) << key;
  // The same tokens as a prompt, where nothing is drawn.
  for (const Json& id : hot["token_ids"])
    ids.push_back(id);
  write_requests({{{"custom_id", "cold"}, {"prompt", ids}, {"echo", true}, {"max_tokens", 0}, {"logprobs", 0}}});
  ASSERT_EQ(run({.output = "cold.jsonl"}).code, 0);
  const Json cold = choices_of(answers("cold.jsonl").at("cold"))[0];
  EXPECT_EQ(cold["finish_reason"], "length");
  ASSERT_EQ(cold["logprobs"]["token_logprobs"].size(), ids.size());
  for (std::size_t i = 0; i < 20; ++i)
    EXPECT_NEAR(hot["logprobs"]["token_logprobs"][i].get<double>(),
                cold["logprobs"]["token_logprobs"][prompt_tokens + i].get<double>(), 1e-4)
        << i;
}

TEST_F(Choices, ScoresOfIdsAreTheSameInChunksOverRanksAndStages) {
  const Json& golden = golden_cases()[1];
  std::vector<int> ids = golden["prompt_ids"].get<std::vector<int>>();
  const std::size_t prompt_tokens = ids.size();
  for (const Json& id : golden["ids"])
    ids.push_back(id);
  Json greedy = golden_chat(1);
  greedy["logprobs"] = true;
  greedy["top_logprobs"] = 2;
  write_requests({greedy,
                  {{"custom_id", "score"}, {"prompt", ids}, {"echo", true}, {"logprobs", 2}, {"max_tokens", 0}},
                  {{"custom_id", "echo"}, {"prompt", ids}, {"echo", true}, {"max_tokens", 0}}});
  const std::vector<std::vector<std::string>> layouts = {
      {}, {"engine.max_batch_tokens=16"}, {"parallel.tensor=2"}, {"parallel.pipeline=2", "engine.max_requests=4"}};
  for (std::size_t layout = 0; layout < layouts.size(); ++layout) {
    const std::string output = "out-" + std::to_string(layout) + ".jsonl";
    const Ended ended = run({.set = layouts[layout], .output = output});
    ASSERT_EQ(ended.code, 0) << ended.err;
    const auto found = answers(output);
    const Json generated = choices_of(found.at("chat-1"))[0]["logprobs"]["content"];
    const Json scored = choices_of(found.at("score"))[0]["logprobs"];
    ASSERT_EQ(generated.size(), golden["ids"].size());
    ASSERT_EQ(scored["token_logprobs"].size(), ids.size());
    for (std::size_t i = 0; i < generated.size(); ++i) {
      const double own = generated[i]["logprob"];
      EXPECT_NEAR(own, scored["token_logprobs"][prompt_tokens + i].get<double>(), 1e-4) << "token " << i;
      EXPECT_EQ(own, generated[i]["top_logprobs"][0]["logprob"]) << "greedy takes the best";
    }
    EXPECT_TRUE(choices_of(found.at("echo"))[0]["logprobs"].is_null());
    EXPECT_EQ(choices_of(found.at("echo"))[0]["text"], choices_of(found.at("score"))[0]["text"]);
    EXPECT_EQ(found.at("score")["response"]["body"]["usage"]["completion_tokens"], 0);
  }
}

TEST_F(Choices, EndAtTheFirstOfSeveralStopStringsWhereverItFalls) {
  // "1, 2, 3, ... 20.": tokens end in the middle of these strings.
  const auto counting = [](const std::string& custom_id, const Json& more) {
    Json request = golden_chat(1);
    request["custom_id"] = custom_id;
    request.update(more);
    return request;
  };
  const std::string all = golden_cases()[1]["text"];
  const std::string before = all.substr(0, all.find("7, 8"));
  const Json stops = {"12, 13", "7, 8, 9", "no such text", "8, 9"};
  write_requests({counting("stop", {{"stop", stops}}),
                  counting("include", {{"stop", stops}, {"include_stop_str_in_output", true}}),
                  counting("later", {{"stop", stops}, {"min_tokens", 30}}),
                  counting("id", {{"stop_token_ids", {golden_cases()[1]["ids"][3]}}}),
                  counting("none", {{"stop", "21"}})});
  const Ended ended = run();
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto found = answers();
  EXPECT_EQ(text_of(found.at("stop")), before);
  EXPECT_EQ(text_of(found.at("include")), before + "7, 8, 9");
  EXPECT_EQ(text_of(found.at("later")), all.substr(0, all.find("12, 13"))) << "what min_tokens made stops nothing";
  EXPECT_EQ(text_of(found.at("none")), all);
  const Json& ids = ids_of(found.at("id"));
  EXPECT_EQ(ids.back(), golden_cases()[1]["ids"][3]);
  for (const auto& [id, answer] : found)
    EXPECT_EQ(choices_of(answer)[0]["finish_reason"], "stop") << id;
}

TEST_F(Choices, HaveAtLeastMinTokens) {
  Json brief = golden_chat(7);  // ends after some ten tokens
  brief["min_tokens"] = 40;
  write_requests({brief, golden_chat(7 + 1)});
  ASSERT_EQ(run().code, 0);
  const Json& ids = ids_of(answers().at("chat-7"));
  EXPECT_GE(ids.size(), 40U);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i)
    EXPECT_TRUE(ids[i] != 2 && ids[i] != 0) << "an end id at " << i;
}

TEST_F(Choices, ThatCannotBeAreThatRequestsErrorByName) {
  const std::vector<std::pair<const char*, Json>> bad = {{"logit_bias", {{"logit_bias", {{"9999", 1}}}}},
                                                         {"stop_token_ids", {{"stop_token_ids", {2048}}}},
                                                         {"min_tokens", {{"min_tokens", 9}, {"max_tokens", 8}}},
                                                         {"top_p", {{"top_p", 1.5}}},
                                                         {"temperature", {{"temperature", -1}}},
                                                         {"n", {{"n", 0}}},
                                                         {"logprobs", {{"logprobs", 21}}},
                                                         {"max_tokens", {{"max_tokens", 0}}},
                                                         {"top_k", {{"top_k", -2}}}};
  std::vector<Json> requests = {golden_chat(0)};
  for (const auto& [name, change] : bad)
    requests.push_back(sampled(name, 1, 8, change));
  write_requests(requests);
  EXPECT_EQ(run().code, 1);
  const auto found = answers();
  EXPECT_EQ(text_of(found.at("chat-0")), golden_cases()[0]["text"]);
  for (const auto& [name, change] : bad)
    EXPECT_THAT(error_of(found.at(name)), AllOf(HasSubstr(name), HasSubstr("expected"))) << name;
}

}  // namespace
}  // namespace weft::test
