#include <gmock/gmock.h>

#include "tests/integration/run/child.h"
#include "tests/integration/text/text_command.h"
#include "tests/support/temporary_directory.h"

namespace weft::test {
namespace {

using ::testing::HasSubstr;

TextOutput tokenize(const std::string& input) {
  return run_text_command({"tokenize", "--tokenizer", bundled_model}, input);
}
TextOutput detokenize(const std::string& input) {
  return run_text_command({"detokenize", "--tokenizer", bundled_model}, input);
}

TEST(TokenizeCommand, GivesTheIdsOfEachLineInOrder) {
  const auto output = tokenize(
      "{\"text\": \"<|im_start|>user\\nHow much is 16 plus 30?<|im_end|>\\n\", \"add_special_tokens\": false}\n"
      "{\"text\": \"\", \"add_special_tokens\": false}\n"
      "{\"text\": \"16\"}\r\n"
      "{\"text\": \"16\", \"add_special_tokens\": null}");
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_EQ(output.out,
            "{\"ids\":[1,295,201,473,478,313,223,19,24,606,223,21,18,33,2,201]}\n"
            "{\"ids\":[]}\n{\"ids\":[19,24]}\n{\"ids\":[19,24]}\n");
}

TEST(TokenizeCommand, AddsWhatThePostProcessorSaysUnlessToldNotTo) {
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", R"({
    "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": [{"id": 7, "content": "<s>", "special": true}],
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
      {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [7], "tokens": ["<s>"]}}}})");
  const auto output = run_text_command({"tokenize", "--tokenizer", directory.path()},
                                       "{\"text\":\"a\"}\n{\"text\":\"a\",\"add_special_tokens\":true}\n"
                                       "{\"text\":\"a\",\"add_special_tokens\":false}\n");
  EXPECT_EQ(output.out, "{\"ids\":[7,0]}\n{\"ids\":[7,0]}\n{\"ids\":[0]}\n") << output.err;
}

TEST(DetokenizeCommand, GivesTheTextOfEachLine) {
  const auto output = detokenize(
      "{\"ids\": [19, 24, 2]}\n{\"ids\": [19, 24, 2], \"skip_special_tokens\": true}\n{\"ids\": []}\n"
      "{\"ids\": [19, 2000000000, 2047, 24]}\n");
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_EQ(output.out, "{\"text\":\"16<|im_end|>\"}\n{\"text\":\"16\"}\n{\"text\":\"\"}\n{\"text\":\"16\"}\n");
}

TEST(DetokenizeCommand, ReadsWhatTokenizeWrites) {
  const std::string text = "{\"text\":\"Zoë: 16 + 30 = 46? 日本語 🙂\\n\\t\\u0000\"}";
  const auto ids = tokenize(text + "\n");
  ASSERT_EQ(ids.lines.size(), 1u) << ids.err;
  const auto back = detokenize(ids.out);
  ASSERT_EQ(back.lines.size(), 1u) << back.err;
  EXPECT_EQ(back.lines[0], Json::parse(text));
}

// What a program that talks to it through two pipes counts on.
TEST(TextCommands, AnswerALineBeforeTheNextOneComes) {
  const TemporaryDirectory directory;
  Child child({.argv = {"/bin/sh", "-c",
                        "mkfifo in out; \"$0\" tokenize --tokenizer \"$1\" <in >out & exec 3>in 4<out\n"
                        "echo '{\"text\":\"16\"}' >&3; read -r first <&4; echo \"$first\"\n"
                        "echo '{\"text\":\"\"}' >&3; read -r second <&4; echo \"$second\"\n"
                        "exec 3>&-; wait",
                        WEFT_BUILD_DIR "/bin/weft", bundled_model},
               .env = {},
               .directory = directory.path()});
  EXPECT_EQ(child.wait(), 0) << child.err();
  EXPECT_EQ(child.out(), "{\"ids\":[19,24]}\n{\"ids\":[]}\n");
}

TEST(TextCommands, NoInputIsNoOutput) {
  for (const char* command : {"tokenize", "detokenize", "template"}) {
    const auto output = run_text_command({command, "--tokenizer", bundled_model}, "");
    EXPECT_EQ(output.code, 0) << command << output.err;
    EXPECT_EQ(output.out, "") << command;
  }
}

TEST(TextCommands, ADirectoryWithoutATokenizerIsNotFound) {
  const TemporaryDirectory directory;
  for (const char* command : {"tokenize", "detokenize"}) {
    const auto output = run_text_command({command, "--tokenizer", directory.path()}, "{}\n");
    EXPECT_EQ(output.code, 3) << command;
    EXPECT_THAT(output.err, HasSubstr("neither tokenizer.json nor tokenizer.model is there"));
    EXPECT_EQ(output.out, "");
  }
}

TEST(TextCommands, ADamagedTokenizerIsNamed) {
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", R"({"model": {"type": "Unigram", "vocab": []}})");
  const auto output = run_text_command({"tokenize", "--tokenizer", directory.path()}, "{}\n");
  EXPECT_EQ(output.code, 2);
  EXPECT_THAT(output.err, HasSubstr("tokenizer.json: model: unknown kind 'Unigram'; expected BPE"));
}

TEST(TextCommands, HelpShowsAnExampleThatRuns) {
  for (const char* command : {"tokenize", "detokenize", "template"}) {
    const auto output = run_text_command({command, "--help"}, "");
    EXPECT_EQ(output.code, 0);
    const std::size_t example = output.out.find("Example:\n  echo '");
    ASSERT_NE(example, std::string::npos) << output.out;
    const std::size_t begin = output.out.find('\'', example) + 1;
    const std::string line = output.out.substr(begin, output.out.find('\'', begin) - begin);
    const auto run = run_text_command({command, "--tokenizer", bundled_model}, line + "\n");
    EXPECT_EQ(run.code, 0) << line << run.out;
    EXPECT_EQ(run.lines.size(), 1u);
  }
  EXPECT_EQ(run_text_command({"tokenize"}, "").code, 2);
}

}  // namespace
}  // namespace weft::test
