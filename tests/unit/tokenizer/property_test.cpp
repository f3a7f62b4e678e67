// What holds for every text.
#include <gmock/gmock.h>

#include "text/tokenizer/tokenizer.h"
#include "text/utf8.h"

namespace weft::text {
namespace {

struct Random {
  std::uint64_t state = 3;
  std::size_t below(std::size_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>(state >> 33) % limit;
  }
};

char32_t random_character(Random& random) {
  static constexpr std::u32string_view common = U"  \n\r\t'sStTreLlveé0123,.!-_<|>日本語\u0301\u00A0\u3000🙂";
  if (random.below(4) != 0) return common[random.below(common.size())];
  const auto c = static_cast<char32_t>(random.below(0x110000));
  return c >= 0xD800 && c < 0xE000 ? U'x' : c;
}

std::shared_ptr<const Tokenizer> bundled() {
  static const auto tokenizer = Tokenizer::load(WEFT_SOURCE_DIR "/models/weft-tiny");
  return *tokenizer;
}

TEST(TokenizerProperty, DecodingWhatWasEncodedGivesTheText) {
  Random random;
  for (int i = 0; i < 2000; ++i) {
    std::u32string characters;
    for (std::size_t k = random.below(60); k > 0; --k)
      characters.push_back(random_character(random));
    const std::string text = to_utf8(characters);
    const auto ids = bundled()->encode(text, false);
    ASSERT_TRUE(ids);
    EXPECT_EQ(bundled()->decode(*ids, false), text);
  }
}

TEST(TokenizerProperty, StreamedTextIsTheWholeTextAndAlwaysUtf8) {
  Random random;
  for (int i = 0; i < 2000; ++i) {
    std::vector<TokenId> ids;
    for (std::size_t k = random.below(40); k > 0; --k)
      ids.push_back(static_cast<TokenId>(random.below(1500)) - 20);
    for (const bool skip : {false, true}) {
      Detokenizer stream(bundled(), skip);
      std::string all;
      for (const TokenId id : ids) {
        const std::string piece = stream.push(id);
        EXPECT_FALSE(first_invalid_utf8(piece));
        all += piece;
      }
      EXPECT_EQ(all + stream.finish(), bundled()->decode(ids, skip));
    }
  }
}

TEST(TokenizerProperty, RefusesInvalidUtf8WhereverItStands) {
  for (const std::string bad :
       {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF0\x9F\x99", "\xFF"})
    EXPECT_FALSE(bundled()->encode("ok" + bad, false)) << bad;
}

// In quadratic time this would take hours.
TEST(TokenizerProperty, LongTextWithoutSpacesIsEncoded) {
  Random random;
  std::string text;
  while (text.size() < 1'000'000)
    text.push_back(static_cast<char>('a' + random.below(26)));
  for (const std::string& each :
       {text, std::string(1'000'000, 'x'), std::string(1'000'000, ' '), std::string(1'000'000, '\n')}) {
    const auto ids = bundled()->encode(each, false);
    ASSERT_TRUE(ids);
    EXPECT_EQ(bundled()->decode(*ids, false), each);
  }
}

}  // namespace
}  // namespace weft::text
