// What holds for every text.
#include <gmock/gmock.h>

#include "tests/unit/tokenizer/random_text.h"
#include "text/tokenizer/tokenizer.h"
#include "text/utf8.h"

namespace weft::text {
namespace {

std::shared_ptr<const Tokenizer> bundled() {
  static const auto tokenizer = Tokenizer::load(WEFT_SOURCE_DIR "/models/weft-tiny");
  return *tokenizer;
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
