#include "worker/stop_watch.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"
#include "text/utf8.h"

namespace weft::worker {
namespace {

const std::string model = WEFT_SOURCE_DIR "/models/weft-tiny";

std::vector<TokenId> ids_of(const std::string& text) {
  return text::Tokenizer::load(model).value()->encode(text, false).value();
}

struct Stopped {
  std::size_t tokens = 0;  // that it took
  StopMatch match;
};

// Gives the tokens one by one, as a leader does.
std::optional<Stopped> feed(StopWatch& watch, const Request& request, const std::vector<TokenId>& tokens) {
  EXPECT_TRUE(watch.add(request));
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (const auto match = watch.push(request.id, std::span(tokens).subspan(i, 1), i + 1 == tokens.size()))
      return Stopped{i + 1, *match};
  return std::nullopt;
}

Request request_with(std::vector<std::string> strings) {
  Request request{.id = 1, .prompt = {5}};
  request.stop.stop_strings = std::move(strings);
  return request;
}

TEST(StopWatch, FindsEveryStringOfATextWhereverTokensEnd) {
  const std::string text = "naïve: 12, 13 and 14 zebras";
  const auto tokens = ids_of(text);
  StopWatch watch(model);
  for (std::size_t at = 0; at < text.size(); ++at)
    for (std::size_t length = 1; length <= 6 && at + length <= text.size(); ++length) {
      const std::string stop = text.substr(at, length);
      if (text::first_invalid_utf8(stop)) continue;
      const auto stopped = feed(watch, request_with({stop}), tokens);
      ASSERT_TRUE(stopped) << stop;
      EXPECT_EQ(stopped->match.matched, stop);
      EXPECT_EQ(static_cast<std::size_t>(stopped->match.text_offset), text.find(stop)) << "the first of them";
      watch.remove(1);
    }
  EXPECT_FALSE(feed(watch, request_with({"zebrass", "14  z"}), tokens));
}

TEST(StopWatch, TakesTheOneThatBeginsFirst) {
  const auto tokens = ids_of("one two three four");
  StopWatch watch(model);
  const auto stopped = feed(watch, request_with({"three", "two three", "wo", "four"}), tokens);
  ASSERT_TRUE(stopped);
  EXPECT_EQ(stopped->match.matched, "wo") << "it is there before the longer one is";
  EXPECT_EQ(stopped->match.text_offset, 5);
}

TEST(StopWatch, LeavesAloneWhatEndsWithinMinTokens) {
  const std::string text = "one two one two one two";
  const auto tokens = ids_of(text);
  for (std::size_t least = 0; least <= tokens.size(); ++least) {
    Request request = request_with({"one", "w"});
    request.stop.min_tokens = static_cast<std::int32_t>(least);
    StopWatch watch(model);
    const auto stopped = feed(watch, request, tokens);
    const std::size_t seen = text::Tokenizer::load(model).value()->decode(std::span(tokens).first(least), true).size();
    // The first place at which one of them ends behind what the first tokens made.
    std::optional<std::size_t> expected;
    for (const std::string stop : {"one", "w"})
      for (std::size_t at = text.find(stop); at != std::string::npos; at = text.find(stop, at + 1))
        if (at + stop.size() > seen && (!expected || at < *expected)) expected = at;
    ASSERT_EQ(stopped.has_value(), expected.has_value()) << least;
    if (!stopped) continue;
    EXPECT_GT(stopped->tokens, least);
    EXPECT_EQ(static_cast<std::size_t>(stopped->match.text_offset), *expected) << least;
  }
}

TEST(StopWatch, GoesOnWithWhatAnEarlierReplicaEmitted) {
  const auto tokens = ids_of("one two three");
  Request request = request_with({"o three"});
  request.emitted = {tokens.begin(), tokens.end() - 1};
  StopWatch watch(model);
  const auto stopped = feed(watch, request, {tokens.back()});
  ASSERT_TRUE(stopped);
  EXPECT_EQ(stopped->match.text_offset, 6);
}

// Bytes are held back until the run of them ends: at the end of the answer they count all the same.
TEST(StopWatch, FindsAStringInTextThatWasHeldBackToTheEnd) {
  const test::TemporaryDirectory directory;
  directory.write("tokenizer.json", R"({"added_tokens": [], "normalizer": null, "pre_tokenizer": null,
    "post_processor": null,
    "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
    "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>", "merges": [],
              "vocab": {"<unk>": 0, "a": 1, "<0xC3>": 2, "<0xA9>": 3}}})");
  StopWatch watch(directory.path());
  const auto stopped = feed(watch, request_with({"é"}), {1, 2, 3});
  ASSERT_TRUE(stopped);
  EXPECT_EQ(stopped->match.text_offset, 1);
}

TEST(StopWatch, KnowsNothingOfRequestsWithoutStrings) {
  StopWatch watch("no such directory");
  EXPECT_FALSE(feed(watch, request_with({}), {1, 2, 3})) << "and loads no tokenizer for them";
  EXPECT_FALSE(watch.add(request_with({"x"})));
}

}  // namespace
}  // namespace weft::worker
