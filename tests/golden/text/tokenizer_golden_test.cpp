// Ids and texts that Hugging Face gave, for every tokenizer in the shared data.
#include <gmock/gmock.h>

#include "tests/golden/text/shared_data.h"
#include "text/tokenizer/tokenizer.h"

namespace weft::text {
namespace {

std::shared_ptr<const Tokenizer> load(const std::string& below) {
  auto tokenizer = Tokenizer::load(shared_path(below));
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return tokenizer ? *tokenizer : nullptr;
}

std::string stream(const std::shared_ptr<const Tokenizer>& tokenizer, const std::vector<TokenId>& ids, bool skip) {
  Detokenizer detokenizer(tokenizer, skip);
  std::string text;
  for (const TokenId id : ids)
    text += detokenizer.push(id);
  return text + detokenizer.finish();
}

class TokenizerGolden : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerGolden, EncodesAndDecodesEveryCase) {
  const std::string folder = std::string("tokenizers/") + GetParam();
  WEFT_SKIP_WITHOUT(folder + "/golden.json");
  const auto tokenizer = load(folder);
  ASSERT_NE(tokenizer, nullptr);
  for (const auto& example : shared_json(folder + "/golden.json").at("cases")) {
    const auto text = example.at("text").get<std::string>();
    const auto ids = example.at("ids").get<std::vector<TokenId>>();
    const auto encoded = tokenizer->encode(text, false);
    ASSERT_TRUE(encoded) << encoded.error().message;
    EXPECT_EQ(*encoded, ids) << text;
    EXPECT_EQ(tokenizer->decode(ids, false), example.at("decoded").get<std::string>());
    EXPECT_EQ(stream(tokenizer, ids, false), example.at("decoded").get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(Shared, TokenizerGolden, testing::Values("gpt2", "qwen2.5", "llama3"));

class GreedyGolden : public testing::TestWithParam<const char*> {};

TEST_P(GreedyGolden, PromptsEncodeAndAnswersDecode) {
  const std::string golden = std::string("goldens/") + GetParam() + "/greedy.json";
  WEFT_SKIP_WITHOUT(golden);
  const auto tokenizer = load(std::string("models/") + GetParam());
  ASSERT_NE(tokenizer, nullptr);
  for (const auto& example : shared_json(golden).at("cases")) {
    if (example.contains("prompt")) {
      // A rendered chat brings its own special tokens.
      const auto encoded = tokenizer->encode(example.at("prompt").get<std::string>(), !example.contains("messages"));
      ASSERT_TRUE(encoded) << encoded.error().message;
      EXPECT_EQ(*encoded, example.at("prompt_ids").get<std::vector<TokenId>>());
    }
    if (!example.contains("text")) continue;
    const auto ids = example.at("ids").get<std::vector<TokenId>>();
    EXPECT_EQ(tokenizer->decode(ids, true), example.at("text").get<std::string>());
    EXPECT_EQ(stream(tokenizer, ids, true), example.at("text").get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(Shared, GreedyGolden,
                         testing::Values("weft-tiny", "weft-tiny-moe", "minimind2-small", "stories15M", "stories260K"));

}  // namespace
}  // namespace weft::text
