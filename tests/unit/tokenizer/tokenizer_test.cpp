// The bundled tokenizer, end to end.
#include "text/tokenizer/tokenizer.h"

#include <gmock/gmock.h>

namespace weft::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const Tokenizer> bundled() {
  static const auto tokenizer = Tokenizer::load(WEFT_SOURCE_DIR "/models/weft-tiny");
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return *tokenizer;
}

TEST(Tokenizer, EncodesAChatWithItsSpecialTokens) {
  const auto ids = bundled()->encode("<|im_start|>user\nHow much is 16 plus 30?<|im_end|>\n", false);
  ASSERT_TRUE(ids);
  EXPECT_THAT(*ids, ElementsAre(1, 295, 201, 473, 478, 313, 223, 19, 24, 606, 223, 21, 18, 33, 2, 201));
}

TEST(Tokenizer, SkipsSpecialTokensInDecodingWhereAsked) {
  EXPECT_EQ(bundled()->decode(std::vector<TokenId>{19, 24, 2}, true), "16");
  EXPECT_EQ(bundled()->decode(std::vector<TokenId>{19, 24, 2}, false), "16<|im_end|>");
}

TEST(Tokenizer, DecodesIdsItLacksToNothing) {
  EXPECT_EQ(bundled()->decode(std::vector<TokenId>{-1, 19, 1 << 30, 2047, 24}, false), "16");
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8AndNamesTheByte) {
  const auto ids = bundled()->encode("abc\xFF", false);
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(ids.error().message, HasSubstr("byte 3"));
}

TEST(Tokenizer, NamesWhatItLookedForWhereThereIsNone) {
  const auto tokenizer = Tokenizer::load(WEFT_SOURCE_DIR "/docs-that-are-not-there");
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().code, ErrorCode::not_found);
  EXPECT_THAT(tokenizer.error().message, HasSubstr("tokenizer.json"));
  EXPECT_THAT(tokenizer.error().message, HasSubstr("tokenizer.model"));
}

TEST(Tokenizer, KnowsItsTokensByName) {
  EXPECT_EQ(bundled()->id_of("<|im_end|>"), 2);
  EXPECT_EQ(bundled()->id_of("no such token"), std::nullopt);
  EXPECT_TRUE(bundled()->is_special(2));
  EXPECT_FALSE(bundled()->is_special(19));
  EXPECT_EQ(bundled()->token(2), "<|im_end|>");
  EXPECT_EQ(bundled()->token(-5), "");
  EXPECT_EQ(bundled()->vocabulary_size(), 1381u);
}

TEST(Detokenizer, NeverEmitsHalfACharacter) {
  const std::string text = "naïve 🙂 日本";
  const auto ids = bundled()->encode(text, false);
  ASSERT_TRUE(ids);
  Detokenizer stream(bundled(), true);
  std::string all;
  for (const TokenId id : *ids) {
    const std::string piece = stream.push(id);
    EXPECT_TRUE(bundled()->encode(piece, false)) << "not UTF-8 by itself";
    all += piece;
  }
  EXPECT_EQ(all + stream.finish(), text);
}

}  // namespace
}  // namespace weft::text
