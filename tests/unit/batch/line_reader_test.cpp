// Lines of hostile files, and what one pass over the input tells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/batch/input_file.h"
#include "frontend/batch/line_reader.h"
#include "tests/support/temporary_directory.h"

namespace weft::frontend {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> lines_of(const std::string& path, std::size_t limit) {
  auto reader = LineReader::open(path, limit).value();
  std::vector<std::string> lines;
  for (;;) {
    const auto line = reader.next().value();
    if (!line) return lines;
    EXPECT_EQ(line->number, static_cast<std::int64_t>(lines.size()) + 1);
    lines.push_back(line->too_long ? "(too long)" : std::string(line->text));
  }
}

TEST(LineReader, TakesEveryLineEndAndALastLineWithoutOne) {
  const test::TemporaryDirectory directory;
  EXPECT_THAT(lines_of(directory.write("a", "one\r\n\ntwo\nthree"), 100), ElementsAre("one", "", "two", "three"));
  EXPECT_THAT(lines_of(directory.write("b", ""), 100), ElementsAre());
  EXPECT_THAT(lines_of(directory.write("c", "\n"), 100), ElementsAre(""));
}

TEST(LineReader, LeavesAByteOrderMarkOut) {
  const test::TemporaryDirectory directory;
  EXPECT_THAT(lines_of(directory.write("a", "\xEF\xBB\xBF{}\n\xEF\xBB\xBF"), 100), ElementsAre("{}", "\xEF\xBB\xBF"));
}

TEST(LineReader, SkipsALineOverItsLimitAndGoesOn) {
  const test::TemporaryDirectory directory;
  const std::string huge(1'000'000, 'x');
  EXPECT_THAT(lines_of(directory.write("a", "a\n" + huge + "\nb\n12345\n123456\n" + huge), 5),
              ElementsAre("a", "(too long)", "b", "12345", "(too long)", "(too long)"));
}

TEST(LineReader, ReadsLinesThatCrossItsPiecesWhole) {
  const test::TemporaryDirectory directory;
  std::string text;
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < 40; ++i) {
    expected.emplace_back(i * 7919 % 50'000, static_cast<char>('a' + i % 26));
    text += expected.back() + "\n";
  }
  EXPECT_EQ(lines_of(directory.write("a", text), 100'000), expected);
}

TEST(LineReader, NamesWhatCannotBeRead) {
  const auto missing = LineReader::open("/no/such/file", 10);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_THAT(missing.error().message, HasSubstr("/no/such/file"));
  const test::TemporaryDirectory directory;
  const auto folder = LineReader::open(directory.path(), 10);
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().message, HasSubstr("not a regular file"));
}

TEST(InputFile, CountsRequestsAndKnowsTheFileAgainByItsHash) {
  const test::TemporaryDirectory directory;
  const auto input = InputFile::scan(directory.write("a", "{}\n\n  \r\n{}\nlast")).value();
  EXPECT_EQ(input.last_line, 5);
  EXPECT_EQ(input.requests, 3);
  EXPECT_THAT(input.has_request, ElementsAre(false, true, false, false, true, true));
  EXPECT_EQ(input.hash, InputFile::scan(directory.write("b", "{}\n\n  \r\n{}\nlast"))->hash);
  EXPECT_NE(input.hash, InputFile::scan(directory.write("c", "{}\n\n  \r\n{}\nlasT"))->hash);
}

TEST(InputFile, FindsAnyLineAgain) {
  const test::TemporaryDirectory directory;
  std::string text;
  for (int i = 1; i <= 5000; ++i)
    text += std::to_string(i) + "\n";
  const auto input = InputFile::scan(directory.write("a", text)).value();
  for (const std::int64_t line : {1, 2, 1024, 1025, 1026, 2049, 5000}) {
    auto reader = input.reader_at(line).value();
    const auto found = reader.next().value();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->number, line);
    EXPECT_EQ(found->text, std::to_string(line));
  }
}

}  // namespace
}  // namespace weft::frontend
