#include "engine/weights/json_file.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/temporary_directory.h"

namespace weft::engine {
namespace {

TEST(JsonFile, RefusesWhatIsNoJsonObjectAndSaysWhere) {
  for (const char* text : {"", "[1]", "7", "{", "{\"a\":}", "{\"a\":1}x", "{\"a\":\"\xff\"}", "{\"a\":1e999}"}) {
    const auto parsed = parse_json_object(text, "config.json");
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().message.rfind("config.json: ", 0), 0u) << parsed.error().message;
  }
}

TEST(JsonFile, RefusesNestingOfAHundredThousandAtOnce) {
  const std::string deep = "{\"a\":" + std::string(100000, '[');
  const auto parsed = parse_json_object(deep, "config.json");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().message, "config.json: JSON nested deeper than 64");
}

TEST(JsonFile, BracketsInsideStringsAreNoNesting) {
  EXPECT_TRUE(parse_json_object("{\"a\":\"" + std::string(1000, '[') + "\\\"[\"}", "config.json"));
}

TEST(JsonFile, RefusesAFileAboveItsLimitAndADirectory) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.write("config.json", "{\"a\": 1}");
  EXPECT_TRUE(read_json_file(path, 8));
  const auto large = read_json_file(path, 7);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().message, "config.json: 8 bytes, at most 7 are read");
  const auto folder = read_json_file(directory.path(), 100);
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, ErrorCode::invalid_argument);
}

TEST(JsonFile, NamesInMessagesCarryNoControlCharacters) {
  EXPECT_EQ(in_quotes("a\x1b[2Jb"), "'a\\x1b[2Jb'");
  EXPECT_EQ(in_quotes(std::string(200, 'x')), "'" + std::string(100, 'x') + "...'");
}

}  // namespace
}  // namespace weft::engine
