// What is wrong with a configuration, a plugin or a model is said before anything is started.
#include <algorithm>
#include <thread>

#include "tests/integration/run/run_test.h"

namespace weft::test {
namespace {

namespace fs = std::filesystem;

class Configuration : public RunTest {
 protected:
  Configuration() { write_requests({golden_chat(0)}); }

  static std::string last_line(const std::string& text) {
    const std::size_t before = text.size() < 2 ? std::string::npos : text.rfind('\n', text.size() - 2);
    return before == std::string::npos ? text : text.substr(before + 1);
  }
  // Refused before anything is started or written, and by `weft check` with the same words and exit code.
  std::string refusal(int code, const RunArguments& arguments = {}) {
    const Ended ended = run(arguments);
    EXPECT_EQ(ended.code, code) << ended.err;
    const Ended checked = check(arguments);
    EXPECT_EQ(checked.code, code) << "weft check: " << checked.err;
    EXPECT_FALSE(ended.err.empty());
    EXPECT_THAT(checked.err, HasSubstr(last_line(ended.err))) << "weft check says something else";
    EXPECT_FALSE(fs::exists(path("results.jsonl")));
    EXPECT_FALSE(fs::exists(run_directory())) << "nothing was to be started";
    return ended.err;
  }
  // A model directory whose files are weft-tiny's, but for those that a test then writes.
  std::string model_copy() {
    fs::create_directory(path("model"));
    for (const auto& entry : fs::directory_iterator(model_directory))
      fs::create_symlink(entry.path(), path("model/" + entry.path().filename().string()));
    write_config("", path("model"));
    return path("model");
  }
  void replace(const std::string& file, const std::string& contents) {
    fs::remove(path("model/" + file));
    write("model/" + file, contents);
  }
};

TEST_F(Configuration, WithTenMistakesAndABadPluginIsToldAboutAllOfThemAtOnce) {
  write("libweft-executor-text.so", "not a plugin");
  write("weft.toml", R"([modle]
[model]
path = "model"
dtype = "f23"
max_context = -5
[parallel]
data = "two"
tensr = 2
[engine]
max_requests = 0
block_size = "big"
[batch]
distribution = "fair"
[timeouts]
lease = 5
[log]
level = 3
[executor]
path = "libweft-executor-text.so"
)");
  const std::string told = refusal(2);
  for (const char* where :
       {"weft.toml:1:", "weft.toml:4:", "weft.toml:5:", "weft.toml:7:", "weft.toml:8:", "weft.toml:10:",
        "weft.toml:11:", "weft.toml:13:", "weft.toml:15:", "weft.toml:17:", "weft.toml:18:"})
    EXPECT_THAT(told, HasSubstr(where));
  EXPECT_THAT(told, HasSubstr("did you mean 'tensor'?"));
  EXPECT_THAT(told, HasSubstr("did you mean 'model'?"));
  EXPECT_THAT(told, HasSubstr("libweft-executor-text.so"));
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 11) << told;
}

TEST_F(Configuration, WithASyntaxErrorIsToldThatAlone) {
  write("weft.toml", "[model]\npath = \"x\"\ndtype = \n[parallel]\ntensr = 2\n");
  const std::string told = refusal(2);
  EXPECT_THAT(told, HasSubstr("weft.toml:3:"));
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 1) << told;
}

TEST_F(Configuration, ThatIsNotThereIsNamed) {
  EXPECT_THAT(refusal(3, {.config = "other.toml"}), HasSubstr("other.toml"));
}

TEST_F(Configuration, OfAnUnknownOverrideIsRefused) {
  EXPECT_THAT(refusal(2, {.set = {"parallel.tensr=2"}}), HasSubstr("did you mean 'tensor'?"));
}

TEST_F(Configuration, WithAPluginThatIsATextFileNamesTheStage) {
  write("libweft-executor-text.so", "not a plugin");
  write_config("[executor]\npath = \"libweft-executor-text.so\"\n");
  const std::string told = refusal(4);
  EXPECT_THAT(told, AllOf(HasSubstr("libweft-executor-text.so"), HasSubstr("symbol"), HasSubstr("weft.toml:4:")));
}

TEST_F(Configuration, WithAPluginThatOthersMayWriteNamesTheStage) {
  fs::copy_file(WEFT_BUILD_DIR "/lib/weft/plugins/libweft-executor-mp.so", path("libweft-executor-mp.so"));
  fs::permissions(path("libweft-executor-mp.so"), fs::perms::all);
  write_config("[executor]\npath = \"libweft-executor-mp.so\"\n");
  EXPECT_THAT(refusal(4), AllOf(HasSubstr("libweft-executor-mp.so"), HasSubstr("file policy")));
}

TEST_F(Configuration, WithAPluginThatIsNotThereSaysWhatIs) {
  write_config("[balancer]\nplugin = \"round_robbin\"\n");
  EXPECT_THAT(refusal(3), AllOf(HasSubstr("round_robbin"), HasSubstr("'round_robin'")));
}

TEST_F(Configuration, WithAnOptionThatThePluginLacksIsToldWhichItHas) {
  write_config("[executor.config]\ncpu = \"0\"\n");
  EXPECT_THAT(refusal(2), AllOf(HasSubstr("'cpu'"), HasSubstr("cpus")));
}

TEST_F(Configuration, WithoutAModelDirectoryIsToldSo) {
  write_config("", path("nowhere"));
  EXPECT_THAT(refusal(3), HasSubstr(path("nowhere")));
}

TEST_F(Configuration, WithAModelWithoutWeightsIsToldSo) {
  fs::remove(model_copy() + "/model.safetensors");
  EXPECT_THAT(refusal(3), HasSubstr("model.safetensors"));
}

TEST_F(Configuration, WithAnEmptyWeightsFileIsToldSo) {
  model_copy();
  replace("model.safetensors", "");
  EXPECT_THAT(refusal(2), HasSubstr("model.safetensors"));
}

TEST_F(Configuration, WithATruncatedWeightsFileIsToldSo) {
  model_copy();
  const std::string whole = read(std::string(model_directory) + "/model.safetensors");
  replace("model.safetensors", whole.substr(0, whole.size() / 2));
  EXPECT_THAT(refusal(2), AllOf(HasSubstr("model.safetensors"), HasSubstr("cut short")));
}

TEST_F(Configuration, WithABrokenModelConfigurationIsToldWhere) {
  model_copy();
  replace("config.json", "{\"architectures\": [");
  EXPECT_THAT(refusal(2), HasSubstr("config.json"));
}

TEST_F(Configuration, WithABrokenTokenizerIsToldSo) {
  model_copy();
  replace("tokenizer.json", "{\"model\": 7}");
  EXPECT_THAT(refusal(2), HasSubstr("tokenizer"));
}

TEST_F(Configuration, WithAChatTemplateThatIsNotThereIsToldSo) {
  EXPECT_THAT(refusal(3, {.set = {"model.chat_template=nowhere.jinja"}}), HasSubstr("nowhere.jinja"));
}

TEST_F(Configuration, WithAChatTemplateThatIsNoneIsToldWhere) {
  write("broken.jinja", "{% for x %}");
  EXPECT_THAT(refusal(2, {.set = {"model.chat_template=" + path("broken.jinja")}}), HasSubstr("broken.jinja"));
}

TEST_F(Configuration, WithAnUnknownArchitectureListsTheKnown) {
  model_copy();
  Json config = Json::parse(read(std::string(model_directory) + "/config.json"));
  config["architectures"] = {"MambaForCausalLM"};
  config["model_type"] = "mamba";
  replace("config.json", config.dump());
  EXPECT_THAT(refusal(2), AllOf(HasSubstr("MambaForCausalLM"), HasSubstr("LlamaForCausalLM")));
}

TEST_F(Configuration, OfMoreThreadsThanTheMachineHasIsRefused) {
  const unsigned cores = std::thread::hardware_concurrency();
  const std::string told =
      refusal(2, {.set = {"parallel.oversubscribe=false", "parallel.threads=" + std::to_string(cores + 1)}});
  EXPECT_THAT(told, AllOf(HasSubstr("parallel.threads"), HasSubstr("parallel.oversubscribe")));
}

TEST_F(Configuration, OfATensorSplitThatDividesNeitherHeadsNorKvHeadsSaysWhich) {
  EXPECT_THAT(refusal(2, {.set = {"parallel.tensor=3"}}),
              AllOf(HasSubstr("parallel.tensor = 3"), HasSubstr("8 query heads"), HasSubstr("4 KV heads")));
}

TEST_F(Configuration, OfMorePipelineStagesThanLayersIsRefused) {
  EXPECT_THAT(refusal(2, {.set = {"parallel.pipeline=5"}}),
              AllOf(HasSubstr("parallel.pipeline = 5"), HasSubstr("4 layers")));
}

// The cpu device rounds a block up to 16 tokens, the reference device rounds nothing: 4 tokens take 16 KiB in the one, 40 in
// the other.
TEST_F(Configuration, OfMemoryForLessThanABlockAsTheDeviceCountsItIsRefused) {
  RunArguments arguments{.set = {"engine.block_size=4", "engine.kv_memory=20KiB", "device.plugin=cpu"}};
  EXPECT_THAT(refusal(2, arguments), HasSubstr("engine.kv_memory gives a rank 20480 bytes, a block of 4 tokens takes"));
  arguments.set.back() = "device.plugin=reference";
  EXPECT_EQ(check(arguments).code, 0) << check(arguments).err;
}

TEST_F(Configuration, OfAContextThatTheCacheCannotHoldIsWarnedOf) {
  model_copy();
  Json config = Json::parse(read(std::string(model_directory) + "/config.json"));
  config["max_position_embeddings"] = 1 << 27;
  replace("config.json", config.dump());
  const auto warning = AllOf(HasSubstr("fewer than the context of 134217728"), HasSubstr("max_position_embeddings"));
  const Ended checked = check();
  EXPECT_EQ(checked.code, 0) << checked.err;
  EXPECT_THAT(checked.err, warning);
  const Ended ended = run();
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.err, warning);
}

TEST_F(Configuration, WithATokenBeyondTheEmbeddingIsWarnedOfAndAPromptThatHasItRefused) {
  model_copy();
  Json tokenizer = Json::parse(read(std::string(model_directory) + "/tokenizer.json"));
  Json added = tokenizer["added_tokens"][0];
  added["id"] = 5000;
  added["content"] = "<|beyond|>";
  tokenizer["added_tokens"].push_back(added);
  replace("tokenizer.json", tokenizer.dump());
  write_requests({{{"custom_id", "beyond"}, {"prompt", "a <|beyond|> b"}, {"max_tokens", 2}},
                  {{"custom_id", "within"}, {"prompt", "a b"}, {"max_tokens", 2}}});
  const auto both = AllOf(HasSubstr("tokenizer.json"), HasSubstr("5000 ('<|beyond|>')"),
                          HasSubstr("config.json's vocab_size is 2048"));
  const Ended checked = check();
  EXPECT_EQ(checked.code, 0) << checked.err;
  EXPECT_THAT(checked.err, both);
  const Ended ended = run();
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_THAT(ended.err, both);
  EXPECT_THAT(error_of(answers().at("beyond")), both);
  EXPECT_EQ(answers().at("beyond")["response"]["status_code"], 400);
  EXPECT_EQ(answers().at("within")["response"]["status_code"], 200);
}

TEST_F(Configuration, OfMoreMemoryThanTheNodeHasIsRefused) {
  EXPECT_THAT(refusal(2, {.set = {"parallel.data=256", "engine.max_batch_tokens=1048576"}}),
              AllOf(HasSubstr("its ranks need"), HasSubstr("lower engine.kv_memory")));
}

TEST_F(Configuration, OfNoCopiesIsRefused) {
  EXPECT_THAT(refusal(2, {.set = {"parallel.data=0"}}), HasSubstr("parallel.data"));
}

}  // namespace
}  // namespace weft::test
