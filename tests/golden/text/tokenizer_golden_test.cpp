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
  const OrderedJson cases = shared_json(folder + "/golden.json").at("cases");
  for (const auto& example : cases) {
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
  const OrderedJson cases = shared_json(golden).at("cases");
  for (const auto& example : cases) {
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

TEST(SentencePieceGolden, SurvivesDamagedModels) {
  WEFT_SKIP_WITHOUT("models/stories260K/tokenizer.model");
  const auto file = read_file(shared_path("models/stories260K/tokenizer.model"), 1u << 20);
  ASSERT_TRUE(file);
  std::uint64_t state = 5;
  const auto below = [&](std::size_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>(state >> 33) % limit;
  };
  for (int i = 0; i < 400; ++i) {
    std::string damaged = i % 2 == 0 ? file->substr(0, below(file->size())) : *file;
    if (!damaged.empty()) damaged[below(damaged.size())] ^= static_cast<char>(1u << below(7));
    const auto made = Tokenizer::from_sentencepiece(damaged, 1);
    if (!made) continue;
    const auto ids = (*made)->encode("Once upon a time 123 \xE6\x97\xA5", true);
    if (ids) static_cast<void>((*made)->decode(*ids, false));
  }
  EXPECT_FALSE(Tokenizer::from_sentencepiece("", 1));
}

}  // namespace
}  // namespace weft::text
