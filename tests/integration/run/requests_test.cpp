// Bad requests are answered as what they are, the others all the same; bad files are refused before anything starts.
#include "tests/integration/run/run_test.h"

namespace weft::test {
namespace {

namespace fs = std::filesystem;

class Requests : public RunTest {};

TEST_F(Requests, ThatAreBrokenAreReportedByLineAndTheOthersRun) {
  const std::string good = golden_chat(0).dump();
  write("prompts.jsonl", good + "\n{\"custom_id\": \"torn\", \"messages\": [\n" + "[1, 2]\n\n" +
                             R"({"custom_id": "neither"})" + "\n" + R"({"custom_id": "typed", "prompt": 7})" + "\n" +
                             R"({"custom_id": "range", "prompt": "a", "temperature": -1})" + "\n" +
                             R"({"custom_id": "url", "method": "POST", "url": "/v1/embeddings", "body": {}})" + "\n" +
                             R"({"custom_id": "id", "prompt": [5000000]})" + "\n" +
                             golden_chat(3).dump());  // no newline at the end
  const Ended ended = run();
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_EQ(results().size(), 9U) << "an answer for every line that is not blank";
  std::map<std::string, Json> by_id;
  for (const Json& line : results())
    by_id[line["id"]] = line;
  EXPECT_EQ(text_of(by_id["weft-1"]), golden_cases()[0]["text"]);
  EXPECT_EQ(text_of(by_id["weft-10"]), golden_cases()[3]["text"]);
  for (const int line : {2, 3, 5, 6, 7, 8, 9}) {
    const Json& answer = by_id["weft-" + std::to_string(line)];
    EXPECT_EQ(answer["response"]["status_code"], 400) << answer;
    EXPECT_THAT(error_of(answer), HasSubstr("line " + std::to_string(line)));
    EXPECT_THAT(ended.err, HasSubstr("line " + std::to_string(line)));
  }
  EXPECT_EQ(by_id["weft-2"]["custom_id"], "line-2") << "it could not be read";
  EXPECT_THAT(error_of(by_id["weft-6"]), HasSubstr("prompt"));
  EXPECT_THAT(error_of(by_id["weft-7"]), HasSubstr("temperature"));
  EXPECT_THAT(error_of(by_id["weft-8"]), HasSubstr("/v1/embeddings"));
  EXPECT_THAT(error_of(by_id["weft-9"]), HasSubstr("5000000"));
  EXPECT_EQ(summary()["requests"]["failed"], 7);

  const std::string before = read("results.jsonl");
  EXPECT_EQ(run().code, 1) << "not every request has an answer";
  EXPECT_EQ(read("results.jsonl"), before) << "permanent errors are done";
  EXPECT_EQ(summary()["requests"]["resumed_failed"], 7);
}

TEST_F(Requests, OfAMegabyteAndOfBytesThatAreNoTextFailAloneWhereTheyDoNotFit) {
  std::string words, ids = "[5";
  while (words.size() < 1'000'000)
    words += "and again ";
  while (ids.size() < 1'000'000)
    ids += ", 5";
  const auto line = [](const std::string& id, const std::string& prompt) {
    return "{\"custom_id\": \"" + id + "\", \"prompt\": " + prompt + "}\n";
  };
  write("prompts.jsonl", golden_chat(0).dump() + "\n" + line("words", "\"" + words + "\"") +
                             line("unbroken", "\"" + std::string(1'000'000, 'x') + "\"") + line("ids", ids + "]") +
                             line("bytes", "\"\xC3\x28\"") + line("half", "\"\\ud83d\"") + line("minus", "[-3]") +
                             golden_chat(1).dump() + "\n");
  const Ended ended = run();
  EXPECT_EQ(ended.code, 1) << ended.err;
  std::map<std::string, Json> by_id;
  for (const Json& result : results())
    by_id[result["id"]] = result;
  ASSERT_EQ(by_id.size(), 8U);
  EXPECT_EQ(text_of(by_id["weft-1"]), golden_cases()[0]["text"]);
  EXPECT_EQ(text_of(by_id["weft-8"]), golden_cases()[1]["text"]);
  for (const int number : {2, 3, 4})
    EXPECT_THAT(error_of(by_id["weft-" + std::to_string(number)]), HasSubstr("context")) << number;
  for (const int number : {5, 6})
    EXPECT_THAT(error_of(by_id["weft-" + std::to_string(number)]), HasSubstr("not JSON")) << number;
  EXPECT_THAT(error_of(by_id["weft-7"]), HasSubstr("-3"));
  EXPECT_LT(read("results.jsonl").size(), 100'000U) << "messages do not repeat the prompt";
}

// A tokenizer may know more tokens than the model has rows for (added tokens, a tokenizer of another model).
TEST_F(Requests, WhoseTextHasIdsBeyondTheEmbeddingFailAlone) {
  fs::create_directory(path("model"));
  for (const auto& entry : fs::directory_iterator(model_directory))
    fs::create_symlink(entry.path(), path("model/" + entry.path().filename().string()));
  Json tokenizer = Json::parse(read(std::string(model_directory) + "/tokenizer.json"));
  tokenizer["added_tokens"].push_back({{"id", 5000}, {"content", "<far>"}, {"special", true}});
  fs::remove(path("model/tokenizer.json"));
  write("model/tokenizer.json", tokenizer.dump());
  write_config("", path("model"));
  write_requests({golden_chat(0), {{"custom_id", "far"}, {"prompt", "a<far>b"}}, golden_chat(1)});
  const Ended ended = run();
  EXPECT_EQ(ended.code, 1) << ended.err;
  const auto found = answers();
  EXPECT_EQ(text_of(found.at("chat-0")), golden_cases()[0]["text"]);
  EXPECT_EQ(text_of(found.at("chat-1")), golden_cases()[1]["text"]);
  EXPECT_THAT(error_of(found.at("far")),
              AllOf(HasSubstr("tokenizer.json makes token id 5000"), HasSubstr("vocab_size is 2048")));
  Child check({.argv = {weft_program, "check", "-c", path("weft.toml")}, .env = {}, .directory = path(".")});
  EXPECT_EQ(check.wait(), 0) << check.err();
  EXPECT_THAT(check.err(), HasSubstr("tokenizer.json has ids up to 5000"));
}

TEST_F(Requests, OfOneCustomIdFailButForTheFirst) {
  Json second = golden_chat(3);
  second["custom_id"] = "chat-0";
  write_requests({golden_chat(0), golden_chat(1), second});
  EXPECT_EQ(run().code, 1);
  for (const Json& line : results())
    if (line["id"] == "weft-3") {
      EXPECT_THAT(error_of(line), AllOf(HasSubstr("line 1"), HasSubstr("line 3"), HasSubstr("chat-0")));
    } else {
      EXPECT_EQ(error_of(line), "");
    }
  EXPECT_EQ(results().size(), 3U);
}

TEST_F(Requests, ThatDoNotFitTheContextFailAndThoseThatReachItsEndStopThere) {
  std::string words = "one";
  for (int i = 0; i < 200; ++i)
    words += " and two";
  write_requests({{{"custom_id", "long"}, {"prompt", words}},
                  {{"custom_id", "empty"}, {"prompt", ""}},
                  {{"custom_id", "no ids"}, {"prompt", Json::array()}},
                  long_chat("clipped", 500),
                  golden_chat(0)});
  const Ended ended = run({.set = {"model.max_context=64"}});
  EXPECT_EQ(ended.code, 1) << ended.err;
  const auto found = answers();
  ASSERT_EQ(found.size(), 5U);
  EXPECT_THAT(error_of(found.at("long")), HasSubstr("64"));
  EXPECT_THAT(error_of(found.at("empty")), HasSubstr("empty"));
  EXPECT_THAT(error_of(found.at("no ids")), HasSubstr("prompt"));
  const Json& clipped = found.at("clipped")["response"]["body"];
  EXPECT_EQ(clipped["choices"][0]["finish_reason"], "length");
  EXPECT_LE(clipped["usage"]["total_tokens"], 64);
  EXPECT_EQ(text_of(found.at("chat-0")), golden_cases()[0]["text"]);
}

TEST_F(Requests, OfWhichThereAreNoneGiveAnEmptyOutputAndANote) {
  write("prompts.jsonl", "\n \n");
  const Ended ended = run({.set = {"log.level=debug"}});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(read("results.jsonl"), "");
  EXPECT_TRUE(fs::exists(path("results.jsonl")));
  EXPECT_THAT(ended.err, AllOf(HasSubstr("no requests"), Not(HasSubstr("launching"))));
}

TEST_F(Requests, FromAFileThatIsNotThereAreNotFound) {
  const Ended ended = run();
  EXPECT_EQ(ended.code, 3);
  EXPECT_THAT(ended.err, HasSubstr("prompts.jsonl"));
  EXPECT_FALSE(fs::exists(path("results.jsonl")));
}

class Output : public RunTest {
 protected:
  Output() { write_requests(golden_chats()); }
  std::string refusal(const RunArguments& arguments) {
    const Ended ended = run(arguments);
    EXPECT_EQ(ended.code, 2) << ended.err;
    EXPECT_FALSE(fs::exists(run_directory())) << "nothing was to be started";
    return ended.err;
  }
};

TEST_F(Output, InADirectoryThatIsNotThereIsRefused) {
  EXPECT_THAT(refusal({.output = "nowhere/results.jsonl"}),
              AllOf(HasSubstr("nowhere/results.jsonl"), HasSubstr("directory")));
}

TEST_F(Output, ThatIsADirectoryIsRefused) {
  fs::create_directory(path("results"));
  EXPECT_THAT(refusal({.output = "results"}), HasSubstr("is a directory"));
}

TEST_F(Output, ThatMayNotBeWrittenIsRefused) {
  write("results.jsonl", "");
  fs::permissions(path("results.jsonl"), fs::perms::owner_read);
  EXPECT_THAT(refusal({.obeys_permissions = true}), AllOf(HasSubstr("results.jsonl"), HasSubstr("ermission denied")));
}

TEST_F(Output, OnAFullDiskEndsTheRunAndSaysSo) {
  const Ended ended = run({.output = "/dev/full"});
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("/dev/full"), HasSubstr("No space left on device")));
}

TEST_F(Output, OfAnotherRunIsRefusedAndLeftAlone) {
  ASSERT_EQ(run().code, 0);
  const std::string before = read("results.jsonl");
  write_requests({golden_chat(0)}, "others.jsonl");
  const Ended ended = run({.input = "others.jsonl"});
  EXPECT_EQ(ended.code, 2) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("results.jsonl"));
  EXPECT_EQ(read("results.jsonl"), before);
  const Ended other_model = run({.set = {"batch.max_tokens=7"}});
  EXPECT_EQ(other_model.code, 2) << other_model.err;
  EXPECT_EQ(read("results.jsonl"), before);
}

TEST_F(Output, ThatWeftNeverWroteIsRefusedAndLeftAlone) {
  write("results.jsonl", "a diary\n");
  EXPECT_THAT(refusal({}), HasSubstr("results.jsonl"));
  EXPECT_EQ(read("results.jsonl"), "a diary\n");
}

}  // namespace
}  // namespace weft::test
