// Lines that no one should write: each gets one line of output that says what is wrong, and the others go on.
#include <gmock/gmock.h>

#include "tests/integration/text/text_command.h"

namespace weft::test {
namespace {

using ::testing::HasSubstr;

struct Hostile {
  std::string line;
  std::string error;
};

// Each line between two good ones.
void expect_errors(const std::string& command, const std::string& good, const std::vector<Hostile>& lines) {
  std::string input = good + "\n";
  for (const Hostile& hostile : lines)
    input += hostile.line + "\n" + good + "\n";
  const auto output = run_text_command({command, "--tokenizer", bundled_model}, input);
  EXPECT_EQ(output.code, 1);
  ASSERT_EQ(output.lines.size(), 2 * lines.size() + 1) << output.err;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(output.lines[2 * i], output.lines[0]);
    EXPECT_FALSE(output.lines[2 * i].contains("error"));
    const Json& error = output.lines[2 * i + 1];
    ASSERT_TRUE(error.contains("error")) << error.dump() << " for " << lines[i].line.substr(0, 100);
    EXPECT_THAT(error.at("error").get<std::string>(), HasSubstr(lines[i].error));
  }
}

// Wrong whatever the command.
std::vector<Hostile> no_objects() {
  return {{"", "not JSON"},
          {"   ", "not JSON"},
          {"{\"text\": ", "column 10: not JSON"},
          {"{} {}", "column 4"},
          {"[]", "expected a JSON object"},
          {"null", "expected a JSON object"},
          {"\"text\"", "expected a JSON object"},
          {"{\"text\":\"\xC3(\",\"ids\":[],\"messages\":[]}", "not JSON"},
          {"{\"text\":\"\\ud800\",\"ids\":[],\"messages\":[]}", "not JSON"},
          {"\xFF\xFE{", "not JSON"},
          {"{\"x\": 1e999}", "not JSON"},
          {"{}", "is missing, expected"},
          {std::string(100'000, '['), "nested deeper than 64"},
          {"{\"a\":" + std::string(100'000, '{'), "nested deeper than 64"}};
}

TEST(HostileLines, OfTokenize) {
  auto lines = no_objects();
  lines.insert(lines.end(), {{"{\"text\": 3}", "'text': found 3, expected a string"},
                             {"{\"text\": [\"a\"]}", "'text': found an array of 1, expected a string"},
                             {"{\"text\": null}", "'text': found null, expected a string"},
                             {"{\"txet\": \"a\"}", "unknown key 'txet'; did you mean 'text'?"},
                             {"{\"text\": \"a\", \"add_special_token\": true}", "did you mean 'add_special_tokens'?"},
                             {"{\"text\": \"a\", \"add_special_tokens\": 1}", "found 1, expected true or false"}});
  expect_errors("tokenize", "{\"text\":\"16\",\"a key of somebody else\":{}}", lines);
}

TEST(HostileLines, OfDetokenize) {
  auto lines = no_objects();
  lines.insert(lines.end(),
               {{"{\"ids\": 3}", "'ids': found 3, expected a list of token ids"},
                {"{\"ids\": null}", "'ids': found null, expected a list of token ids"},
                {"{\"ids\": [1, \"2\"]}", "'ids[1]': found \"2\", expected a token id"},
                {"{\"ids\": [1.5]}", "'ids[0]': found 1.5"},
                {"{\"ids\": [-1]}", "'ids[0]': found -1"},
                {"{\"ids\": [2147483648]}", "'ids[0]': found 2147483648"},
                {"{\"ids\": [18446744073709551615]}", "'ids[0]': found 18446744073709551615"},
                {"{\"ids\": [99999999999999999999]}", "'ids[0]': found 1e+20"},
                {"{\"ids\": [[1]]}", "'ids[0]': found an array of 1"},
                {"{\"ids\": [1], \"skip_special_tokens\": \"yes\"}", "found \"yes\", expected true or false"}});
  expect_errors("detokenize", "{\"ids\":[19,24]}", lines);
}

TEST(HostileLines, OfTemplate) {
  auto lines = no_objects();
  lines.insert(lines.end(),
               {{"{\"messages\": null}", "'messages': found null, expected a list of"},
                {"{\"messages\": \"Hi\"}", "'messages': found \"Hi\", expected a list of"},
                {"{\"messages\": [\"Hi\"]}", "'messages[0]': found \"Hi\", expected an object"},
                {"{\"message\": []}", "did you mean 'messages'?"},
                {"{\"messages\": [], \"tools\": {}}", "'tools': found an object of 0, expected a list of functions"},
                {"{\"messages\": [], \"tools\": [3]}", "'tools[0]': found 3, expected an object"},
                {"{\"messages\": [], \"add_generation_prompt\": \"\"}", "expected true or false"},
                {"{\"messages\": [], \"chat_template_kwargs\": []}", "'chat_template_kwargs': found an array of 0"}});
  expect_errors("template", "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", lines);
}

TEST(HostileLines, TenMegabytesInALineAreALineLikeAnyOther) {
  std::string text;
  while (text.size() < 10'000'000)
    text += "How much is 16 plus 30? ";
  const auto output =
      run_text_command({"tokenize", "--tokenizer", bundled_model}, "{\"text\":\"" + text + "\"}\n{\"text\":\"16\"}\n");
  EXPECT_EQ(output.code, 0) << output.err;
  ASSERT_EQ(output.lines.size(), 2u);
  EXPECT_GT(output.lines[0].at("ids").size(), 1'000'000u);
  EXPECT_EQ(output.lines[1].at("ids"), (std::vector<int>{19, 24}));
}

TEST(HostileLines, ALineBeyondTheLimitIsRefusedAndTheNextOneAnswered) {
  const auto output = run_text_command({"tokenize", "--tokenizer", bundled_model},
                                       std::string((std::size_t{64} << 20) + 10, 'x') + "\n{\"text\":\"16\"}\n");
  EXPECT_EQ(output.code, 1);
  ASSERT_EQ(output.lines.size(), 2u) << output.err;
  EXPECT_THAT(output.lines[0].at("error").get<std::string>(), HasSubstr("a line of more than 67108864 bytes"));
  EXPECT_EQ(output.lines[1].at("ids"), (std::vector<int>{19, 24}));
}

}  // namespace
}  // namespace weft::test
