// What holds for every text, whatever the kind of tokenizer; and that encoding is what its definition says.
#include <gmock/gmock.h>
#include <utf8proc.h>

#include <map>

#include "tests/support/goldens.h"
#include "tests/unit/tokenizer/random_text.h"
#include "text/json.h"
#include "text/tokenizer/tokenizer.h"

namespace weft::text {
namespace {

using TokenizerPtr = std::shared_ptr<const Tokenizer>;

struct Kind {
  std::string name;
  std::string directory;  // empty: `json`
  std::string json;       // a tokenizer.json
  bool exact = true;      // it normalizes nothing: decoding gives the text back
};

// SentencePiece's BPE as a tokenizer.json: a space in front, spaces as U+2581, bytes where there is no token.
std::string byte_fallback(const char* prefix_as) {
  nlohmann::json vocabulary = {{"<unk>", 0},   {"\u2581", 1}, {"s", 2},        {"t", 3},
                               {"\u2581s", 4}, {"st", 5},     {"\u2581st", 6}, {"日", 7}};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    vocabulary[name] = 8 + byte;
  }
  nlohmann::json document = {{"model",
                              {{"type", "BPE"},
                               {"unk_token", "<unk>"},
                               {"fuse_unk", true},
                               {"byte_fallback", true},
                               {"vocab", vocabulary},
                               {"merges", {"s t", "\u2581 st", "\u2581 s"}}}}};
  const nlohmann::json to_space = {{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}};
  if (std::string_view(prefix_as) == "normalizer") {
    document["normalizer"] = {{"type", "Sequence"},
                              {"normalizers",
                               {{{"type", "Prepend"}, {"prepend", "\u2581"}},
                                {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}}}};
    document["decoder"] = {{"type", "Sequence"},
                           {"decoders",
                            {to_space,
                             {{"type", "ByteFallback"}},
                             {{"type", "Fuse"}},
                             {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}};
  } else {
    document["pre_tokenizer"] = {
        {"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "never"}, {"split", false}};
    document["decoder"] = {{"type", "Sequence"},
                           {"decoders", {to_space, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}};
  }
  return document.dump();
}

std::vector<Kind> kinds() {
  std::vector<Kind> all = {{.name = "bundled", .directory = WEFT_SOURCE_DIR "/models/weft-tiny", .json = ""},
                           {.name = "byte_fallback", .directory = "", .json = byte_fallback("normalizer")},
                           {.name = "metaspace", .directory = "", .json = byte_fallback("pre_tokenizer")}};
  for (const std::string& name : test::golden_tokenizers())
    if (name != test::no_golden)
      all.push_back({.name = test::as_test_name(name),
                     .directory = test::shared_path("tokenizers/" + name),
                     .json = "",
                     .exact = false});
  return all;
}

class TokenizerKind : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    const Kind& kind = GetParam();
    const auto made = kind.directory.empty() ? Tokenizer::from_json(kind.json) : Tokenizer::load(kind.directory);
    ASSERT_TRUE(made) << made.error().message;
    tokenizer_ = *made;
  }
  TokenizerPtr tokenizer_;
};

// U+2581 written in a text becomes a space in SentencePiece's kinds, there as here.
std::string as_decoded(const Kind& kind, std::string text) {
  if (!kind.directory.empty()) return text;
  for (std::size_t at = text.find("\u2581"); at != std::string::npos; at = text.find("\u2581", at))
    text.replace(at, 3, " ");
  return text;
}

std::string composed(const std::string& text) {
  utf8proc_uint8_t* made = nullptr;
  const auto size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &made, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::string out(reinterpret_cast<const char*>(made),
                        static_cast<std::size_t>(std::max<utf8proc_ssize_t>(size, 0)));
  std::free(made);  // NOLINT(cppcoreguidelines-no-malloc): utf8proc's
  return out;
}

TEST_P(TokenizerKind, DecodesWhatItEncodedToTheTextOrItsNormalForm) {
  Random random;
  for (int i = 0; i < 1500; ++i) {
    const std::string text = random_text(random, 50);
    const auto ids = tokenizer_->encode(text, false);
    ASSERT_TRUE(ids) << ids.error().message;
    const std::string back = tokenizer_->decode(*ids, false);
    const std::string expected = as_decoded(GetParam(), text);
    EXPECT_TRUE(back == expected || (!GetParam().exact && back == composed(text))) << text << "\n" << back;
    EXPECT_EQ(tokenizer_->encode(back, false), *ids);
  }
}

TEST_P(TokenizerKind, StreamsWhateverIdsToTheWholeTextInCharacters) {
  Random random{.state = 9};
  const std::size_t vocabulary = tokenizer_->vocabulary_size();
  for (int i = 0; i < 300; ++i) {
    std::vector<TokenId> ids;
    for (std::size_t k = random.below(40); k > 0; --k)
      ids.push_back(static_cast<TokenId>(random.below(vocabulary + 20)) - 10);
    for (const bool skip : {false, true}) {
      Detokenizer stream(tokenizer_, skip);
      std::string all;
      for (const TokenId id : ids) {
        const std::string piece = stream.push(id);
        EXPECT_FALSE(first_invalid_utf8(piece));
        all += piece;
      }
      EXPECT_EQ(all + stream.finish(), tokenizer_->decode(ids, skip));
    }
  }
}

// Validity by another's decoder.
std::optional<std::size_t> first_invalid(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t c = 0;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                         static_cast<utf8proc_ssize_t>(text.size() - at), &c);
    if (length <= 0) return at;
    at += static_cast<std::size_t>(length);
  }
  return std::nullopt;
}

TEST_P(TokenizerKind, RefusesTextThatIsNotUtf8AndNamesTheByte) {
  Random random{.state = 5};
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string text = random_text(random, 12);
    for (std::size_t k = random.below(3); k > 0; --k)
      text.insert(random.below(text.size() + 1), 1, static_cast<char>(random.below(256)));
    const auto bad = first_invalid(text);
    const auto ids = tokenizer_->encode(text, false);
    ASSERT_EQ(ids.has_value(), !bad.has_value()) << testing::PrintToString(text);
    if (!bad) continue;
    ++refused;
    EXPECT_EQ(ids.error().message, "the text is not UTF-8 at byte " + std::to_string(*bad));
  }
  EXPECT_GT(refused, 200);
}

INSTANTIATE_TEST_SUITE_P(Of, TokenizerKind, testing::ValuesIn(kinds()),
                         [](const auto& test) { return test.param.name; });

// Byte-pair encoding by its definition: the pair of the lowest rank, leftmost first, until none is left.
std::vector<std::string> merge_plainly(std::vector<std::string> symbols,
                                       const std::map<std::pair<std::string, std::string>, int>& ranks) {
  for (;;) {
    std::size_t best = symbols.size();
    int lowest = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto rank = ranks.find({symbols[i], symbols[i + 1]});
      if (rank == ranks.end() || (best != symbols.size() && rank->second >= lowest)) continue;
      best = i;
      lowest = rank->second;
    }
    if (best == symbols.size()) return symbols;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(BytePairEncoding, IsWhatItsDefinitionSaysForShortAndLongWords) {
  const auto file = read_file(WEFT_SOURCE_DIR "/models/weft-tiny/tokenizer.json", 1u << 20);
  ASSERT_TRUE(file);
  const auto model = parse_json(*file)->at("model");
  std::map<std::pair<std::string, std::string>, int> ranks;
  for (const auto& merge : model.at("merges")) {
    const auto text =
        merge.is_string() ? merge.get<std::string>() : merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    const std::size_t space = text.find(' ');
    ranks.emplace(std::pair(text.substr(0, space), text.substr(space + 1)), static_cast<int>(ranks.size()));
  }
  const auto tokenizer = *Tokenizer::load(WEFT_SOURCE_DIR "/models/weft-tiny");
  Random random;
  for (int i = 0; i < 1500; ++i) {
    // Letters only: no pre-tokenizer cuts them, and each is spelled as itself in the byte-level alphabet. Few different ones, so
    // that pairs of the same rank meet and overlap.
    std::vector<std::string> letters;
    const std::string_view alphabet = i % 3 == 0 ? "ab" : i % 3 == 1 ? "etaoinshr" : "abcdefghijklmnopqrstuvwxyz";
    const std::size_t longest = i % 500 == 0 ? 2500 : i % 10 == 0 ? 300 : 30;  // a scan, a heap, a queue of ranks
    for (std::size_t k = longest / 2 + random.below(longest) / 2 + 1; k > 0; --k)
      letters.emplace_back(1, alphabet[random.below(alphabet.size())]);
    std::string word;
    for (const std::string& letter : letters)
      word += letter;
    std::vector<TokenId> expected;
    for (const std::string& symbol : merge_plainly(letters, ranks))
      expected.push_back(model.at("vocab").at(symbol).get<TokenId>());
    EXPECT_EQ(tokenizer->encode(word, false), expected) << word;
  }
}

}  // namespace
}  // namespace weft::text
