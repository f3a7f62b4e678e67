// Ids and texts that Hugging Face gave: for small tokenizers of our own, and for every tokenizer in the shared data.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "tests/golden/text/shared_json.h"
#include "tests/support/golden_report.h"
#include "text/json.h"
#include "text/tokenizer/tokenizer.h"
#include "text/utf8.h"

namespace weft::text {
namespace {

std::shared_ptr<const Tokenizer> load(const std::string& below) {
  auto tokenizer = Tokenizer::load(test::shared_path(below));
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

void expect_cases(const std::string& name, const std::shared_ptr<const Tokenizer>& tokenizer,
                  const OrderedJson& cases) {
  test::GoldenReport report({.check = "tokenizer", .family = name});
  ASSERT_NE(tokenizer, nullptr);
  ASSERT_FALSE(cases.empty());
  for (const auto& example : cases) {
    const auto text = example.at("text").get<std::string>();
    const auto ids = example.at("ids").get<std::vector<TokenId>>();
    const auto decoded = example.at("decoded").get<std::string>();
    const auto encoded = tokenizer->encode(text, false);
    ASSERT_TRUE(encoded) << encoded.error().message;
    EXPECT_EQ(*encoded, ids) << text;
    EXPECT_EQ(tokenizer->decode(ids, false), decoded);
    EXPECT_EQ(stream(tokenizer, ids, false), decoded);
    report.count(*encoded == ids && tokenizer->decode(ids, false) == decoded &&
                 stream(tokenizer, ids, false) == decoded);
  }
}

const std::string own_folder = WEFT_SOURCE_DIR "/tests/golden/data/tokenizers/";

std::vector<std::string> own_tokenizers() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(own_folder))
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

class OwnTokenizer : public testing::TestWithParam<std::string> {};

TEST_P(OwnTokenizer, EncodesAndDecodesEveryCase) {
  const std::string folder = own_folder + GetParam();
  const bool bundled = !std::filesystem::exists(folder + "/tokenizer.json");
  const auto tokenizer = Tokenizer::load(bundled ? WEFT_SOURCE_DIR "/models/" + GetParam() : folder);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  const auto file = read_file(folder + "/golden.json", 1u << 20);
  ASSERT_TRUE(file) << file.error().message;
  expect_cases(GetParam(), *tokenizer, parse_ordered_json(*file)->at("cases"));
}

INSTANTIATE_TEST_SUITE_P(Repository, OwnTokenizer, testing::ValuesIn(own_tokenizers()),
                         [](const auto& test) { return test::as_test_name(test.param); });

class TokenizerGolden : public testing::TestWithParam<std::string> {};

TEST_P(TokenizerGolden, EncodesAndDecodesEveryCase) {
  if (GetParam() == test::no_golden) WEFT_SKIP_WITHOUT_GOLDENS();
  const std::string folder = "tokenizers/" + GetParam();
  expect_cases(GetParam(), load(folder), shared_json(folder + "/golden.json").at("cases"));
}

INSTANTIATE_TEST_SUITE_P(Shared, TokenizerGolden, testing::ValuesIn(test::golden_tokenizers()),
                         [](const auto& test) { return test::as_test_name(test.param); });

class GreedyGolden : public testing::TestWithParam<std::string> {};

// What a case says of its prompt's and its answer's text, if it does.
bool text_fits(const std::shared_ptr<const Tokenizer>& tokenizer, const OrderedJson& example) {
  bool fits = true;
  if (example.contains("prompt")) {
    // A rendered chat brings its own special tokens.
    const auto encoded = tokenizer->encode(example.at("prompt").get<std::string>(), !example.contains("messages"));
    EXPECT_TRUE(encoded) << encoded.error().message;
    const auto ids = example.at("prompt_ids").get<std::vector<TokenId>>();
    if (encoded) {
      EXPECT_EQ(*encoded, ids);
    }
    fits = encoded && *encoded == ids;
  }
  if (!example.contains("text")) return fits;
  const auto ids = example.at("ids").get<std::vector<TokenId>>();
  const auto text = example.at("text").get<std::string>();
  EXPECT_EQ(tokenizer->decode(ids, true), text);
  EXPECT_EQ(stream(tokenizer, ids, true), text);
  return fits && tokenizer->decode(ids, true) == text && stream(tokenizer, ids, true) == text;
}

TEST_P(GreedyGolden, PromptsEncodeAndAnswersDecode) {
  if (GetParam() == test::no_golden) WEFT_SKIP_WITHOUT_GOLDENS();
  test::GoldenReport report({.check = "tokenizer", .family = GetParam()});
  const auto tokenizer = load("models/" + GetParam());
  ASSERT_NE(tokenizer, nullptr);
  const OrderedJson golden = shared_json("goldens/" + GetParam() + "/greedy.json");
  for (const auto& example : golden.at("cases"))
    report.count(text_fits(tokenizer, example));
}

INSTANTIATE_TEST_SUITE_P(Shared, GreedyGolden, testing::ValuesIn(test::golden_text_models()),
                         [](const auto& test) { return test::as_test_name(test.param); });

TEST(SentencePieceGolden, SurvivesDamagedModels) {
  WEFT_SKIP_WITHOUT("models/stories260K/tokenizer.model");
  const auto file = read_file(test::shared_path("models/stories260K/tokenizer.model"), 1u << 20);
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
