// What Jinja, as transformers sets it up, makes of real chat templates: the text, or that it raises.
#include <gmock/gmock.h>

#include <ctime>
#include <iomanip>
#include <sstream>

#include "tests/golden/text/shared_json.h"
#include "tests/support/golden_report.h"
#include "text/chat/chat_template.h"

namespace weft::text {
namespace {

std::tm parse_time(const std::string& text) {
  std::tm time{};
  std::istringstream(text) >> std::get_time(&time, "%Y-%m-%dT%H:%M:%S");
  time.tm_isdst = -1;
  std::mktime(&time);  // the day of the week and of the year
  return time;
}

// Whether a case gives its text, or an error where Jinja raises one.
bool renders(const ChatFormat& format, const OrderedJson& example, const RenderLimits& limits) {
  const auto text = format.render(example.at("messages"), example.at("tools"),
                                  example.at("add_generation_prompt").get<bool>(), OrderedJson::object(), limits);
  if (example.contains("raises")) {
    EXPECT_FALSE(text) << "expected " << example.at("raises") << ", got\n" << *text;
    return !text && text.error().code == ErrorCode::invalid_argument;
  }
  EXPECT_TRUE(text) << text.error().message;
  if (!text) return false;
  EXPECT_EQ(*text, example.at("expected").get<std::string>());
  return *text == example.at("expected").get<std::string>();
}

class ChatTemplateGolden : public testing::TestWithParam<std::string> {};

TEST_P(ChatTemplateGolden, EveryCaseIsExact) {
  if (GetParam() == test::no_golden) WEFT_SKIP_WITHOUT_GOLDENS();
  test::GoldenReport report({.check = "template", .family = "chat_templates"});
  const OrderedJson golden = shared_json("goldens/chat_templates/" + GetParam());
  const auto compiled = ChatTemplate::compile(golden.at("template").get<std::string>());
  ASSERT_TRUE(compiled) << compiled.error().message;
  ChatFormat format{.chat_template = *compiled};
  for (const char* token : {"bos_token", "eos_token"})
    if (golden.contains(token)) format.special_tokens[token] = golden.at(token);
  RenderLimits limits;
  if (golden.contains("now")) limits.now = parse_time(golden.at("now").get<std::string>());
  int index = 0;
  for (const auto& example : golden.at("cases")) {
    SCOPED_TRACE("case " + std::to_string(index++));
    EXPECT_TRUE(report.count(renders(format, example, limits)));
  }
}

INSTANTIATE_TEST_SUITE_P(Shared, ChatTemplateGolden, testing::ValuesIn(test::golden_files("goldens/chat_templates")),
                         [](const auto& test) { return test::as_test_name(test.param); });

class ChatModelGolden : public testing::TestWithParam<std::string> {};

TEST_P(ChatModelGolden, MessagesRenderToThePrompt) {
  if (GetParam() == test::no_golden) WEFT_SKIP_WITHOUT_GOLDENS();
  test::GoldenReport report({.check = "template", .family = GetParam()});
  const auto format = load_chat_format(test::shared_path("models/" + GetParam()));
  ASSERT_TRUE(format) << format.error().message;
  const OrderedJson golden = shared_json("goldens/" + GetParam() + "/greedy.json");
  for (const auto& example : golden.at("cases")) {
    if (!example.contains("messages") || !example.contains("prompt")) continue;
    ASSERT_TRUE(*format) << "its goldens are chats, and it has no chat template";
    const auto text = (*format)->render(example.at("messages"), nullptr, true);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(*text, example.at("prompt").get<std::string>());
    report.count(*text == example.at("prompt").get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(Shared, ChatModelGolden, testing::ValuesIn(test::golden_text_models()),
                         [](const auto& test) { return test::as_test_name(test.param); });

}  // namespace
}  // namespace weft::text
