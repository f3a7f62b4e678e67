// A tokenizer.json that others wrote gives a tokenizer or an error that says what is wrong; never a crash.
#include <gmock/gmock.h>

#include "text/json.h"
#include "text/tokenizer/tokenizer.h"
#include "text/utf8.h"

namespace weft::text {
namespace {

using testing::HasSubstr;

// A tokenizer of a few tokens; `part` replaces or adds a key of the document.
std::string small(const std::string& key = "", const nlohmann::json& value = nullptr) {
  nlohmann::json document = {
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"<unk>", 3}}}, {"merges", {"a b"}}}},
      {"added_tokens", {{{"id", 4}, {"content", "<end>"}, {"special", true}}}}};
  if (!key.empty()) document[nlohmann::json::json_pointer(key)] = value;
  return document.dump();
}

std::string refusal(const std::string& json) {
  const auto made = Tokenizer::from_json(json);
  return made ? "made" : made.error().message;
}

TEST(TokenizerJson, SmallOneWorks) {
  const auto made = Tokenizer::from_json(small());
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)->encode("abba<end>b", false), (std::vector<TokenId>{2, 1, 0, 4, 1}));
}

TEST(TokenizerJson, NeedsNoMerges) {
  const auto made = Tokenizer::from_json(small("/model/merges", nlohmann::json::array()));
  ASSERT_TRUE(made) << made.error().message;
  for (const std::size_t size : {1u, 60u, 5000u})
    EXPECT_EQ((*made)->encode(std::string(size, 'b'), false), std::vector<TokenId>(size, 1)) << size;
}

TEST(TokenizerJson, NamesAnUnknownKind) {
  EXPECT_THAT(refusal(small("/model/type", "Unigram")), HasSubstr("'Unigram'"));
  EXPECT_THAT(refusal(small("/normalizer", {{"type", "Precompiled"}})),
              HasSubstr("normalizer: unknown kind 'Precompiled'"));
  EXPECT_THAT(refusal(small("/pre_tokenizer", {{"type", "UnicodeScripts"}})), HasSubstr("'UnicodeScripts'"));
  EXPECT_THAT(refusal(small("/post_processor", {{"type", "New"}})), HasSubstr("post_processor: unknown kind 'New'"));
  EXPECT_THAT(refusal(small("/decoder", {{"type", "CTC"}})), HasSubstr("decoder: unknown kind 'CTC'"));
}

TEST(TokenizerJson, NamesWhatIsWrongInTheVocabulary) {
  EXPECT_THAT(refusal(small("/model/merges", {"a c"})), HasSubstr("token 'c' is not in vocab"));
  EXPECT_THAT(refusal(small("/model/merges", {"b a"})), HasSubstr("token 'ba' is not in vocab"));
  EXPECT_THAT(refusal(small("/model/merges", {"abc"})), HasSubstr("merge 0"));
  EXPECT_THAT(refusal(small("/model/merges", {{1, 2}})), HasSubstr("merge 0"));
  EXPECT_THAT(refusal(small("/model/vocab/a", -1)), HasSubstr("id -1"));
  EXPECT_THAT(refusal(small("/model/vocab/a", 1e18)), HasSubstr("token 'a'"));
  EXPECT_THAT(refusal(small("/model/vocab/a", 4'000'000'000u)), HasSubstr("id 4000000000"));
  EXPECT_THAT(refusal(small("/model/vocab/a", "x")), HasSubstr("token 'a'"));
  EXPECT_THAT(refusal(small("/model/vocab/a", 1)), HasSubstr("id 1 is given to"));
  EXPECT_THAT(refusal(small("/model/unk_token", "?")), HasSubstr("unk_token '?'"));
  EXPECT_THAT(refusal(small("/added_tokens/0/id", 1)), HasSubstr("id 1"));
  EXPECT_THAT(refusal(small("/added_tokens/0/id", -7)), HasSubstr("id -7"));
}

TEST(TokenizerJson, NamesAnIdAroundTextsThatNoTokenHas) {
  EXPECT_THAT(
      refusal(small("/post_processor", {{"type", "RobertaProcessing"}, {"cls", {"<s>", 7}}, {"sep", {"b", 1}}})),
      HasSubstr("post_processor: id 7 is neither in the model's vocab nor in added_tokens"));
  EXPECT_EQ(refusal(small("/post_processor", {{"type", "RobertaProcessing"}, {"cls", {"a", 0}}, {"sep", {"b", 1}}})),
            "made");
}

TEST(TokenizerJson, QuotesInMessagesNothingThatATerminalObeysAndNothingThatIsNotUtf8) {
  EXPECT_THAT(refusal(small("/model/type", "\x1b[2J")), HasSubstr("'\\x1b[2J'"));
  EXPECT_THAT(refusal(small("/model/type", std::string(80, 'x'))), HasSubstr("'" + std::string(60, 'x') + "...'"));
  const std::string bytes = refusal("{\"model\": \"a\xff\"}");
  EXPECT_THAT(bytes, HasSubstr("1:13: not JSON"));
  EXPECT_FALSE(first_invalid_utf8(bytes)) << bytes;
}

TEST(TokenizerJson, RefusesAnythingButAnObject) {
  for (const char* json :
       {"", "null", "[]", "1", "{}", "{\"model\":[]}", "{\"model\":{\"type\":\"BPE\"}}", "{\"model\":", "\xFF"})
    EXPECT_NE(refusal(json), "made") << json;
}

TEST(TokenizerJson, SaysWhatItFoundInPlaceOfAnObject) {
  const auto made = Tokenizer::from_json("[1]");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message, "found an array, expected an object");
}

TEST(SentencePiece, SaysInItsOwnWordsThatAModelIsDamaged) {
  for (const std::string& damaged : {std::string(300, '\xA7'), std::string("<html>not found</html>"), std::string()}) {
    const auto made = Tokenizer::from_sentencepiece(damaged, std::nullopt);
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().message,
                HasSubstr(std::to_string(damaged.size()) + " bytes that are no SentencePiece model"));
    EXPECT_THAT(made.error().message, testing::Not(HasSubstr(".cc")));
  }
}

TEST(TokenizerJson, RefusesWhatNestsTooDeep) {
  constexpr std::size_t deep = 100'000;
  EXPECT_THAT(refusal(std::string(deep, '[')), HasSubstr("nested deeper"));
  std::string objects;
  for (std::size_t i = 0; i < deep; ++i)
    objects += "{\"a\":";
  EXPECT_THAT(refusal(objects), HasSubstr("nested deeper"));
}

TEST(TokenizerJson, RefusesARegularExpressionThatIsNone) {
  EXPECT_THAT(
      refusal(small("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}})),
      HasSubstr("regular expression"));
}

TEST(TokenizerJson, GivesUpOnAnExpressionThatBacktracksForEver) {
  const auto made = Tokenizer::from_json(
      small("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "(a+)+$"}}}, {"behavior", "Isolated"}}));
  ASSERT_TRUE(made) << made.error().message;
  const auto ids = (*made)->encode(std::string(5000, 'a') + "b", false);
  if (!ids) {
    EXPECT_EQ(ids.error().code, ErrorCode::resource_exhausted);
  }
}

struct Random {
  std::uint64_t state = 7;
  std::size_t below(std::size_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>(state >> 33) % limit;
  }
};

TEST(TokenizerJson, SurvivesDamagedFiles) {
  const auto file = read_file(WEFT_SOURCE_DIR "/models/weft-tiny/tokenizer.json", 1u << 20);
  ASSERT_TRUE(file);
  Random random;
  for (int i = 0; i < 100; ++i)
    EXPECT_FALSE(Tokenizer::from_json(file->substr(0, random.below(file->size() - 1))));
  for (int i = 0; i < 100; ++i) {
    std::string damaged = *file;
    damaged[random.below(damaged.size())] ^= static_cast<char>(1u << random.below(7));
    const auto made = Tokenizer::from_json(damaged);
    if (made) static_cast<void>((*made)->encode("Hello <|im_end|> 123 ünï", true));
  }
  const std::string base = small("/pre_tokenizer", {{"type", "ByteLevel"}});
  for (int i = 0; i < 5000; ++i) {
    std::string damaged = base;
    for (std::size_t k = 1 + random.below(3); k > 0; --k)
      damaged[random.below(damaged.size())] = "{}[]\",:0123-abelnrtu"[random.below(20)];
    const auto made = Tokenizer::from_json(damaged);
    if (made) static_cast<void>((*made)->encode("abba<end> b", true));
  }
}

}  // namespace
}  // namespace weft::text
