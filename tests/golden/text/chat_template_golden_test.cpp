// What Jinja, as transformers sets it up, makes of real chat templates: the text, or that it raises.
#include <gmock/gmock.h>

#include <algorithm>
#include <ctime>
#include <iomanip>
#include <sstream>

#include "tests/golden/text/shared_data.h"
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

// Each template's failures, so that one run shows them all.
void check(const std::filesystem::path& file) {
  const OrderedJson golden = shared_json("goldens/chat_templates/" + file.filename().string());
  const auto compiled = ChatTemplate::compile(golden.at("template").get<std::string>());
  ASSERT_TRUE(compiled) << file.filename() << ": " << compiled.error().message;
  ChatFormat format{.chat_template = *compiled};
  for (const char* token : {"bos_token", "eos_token"})
    if (golden.contains(token)) format.special_tokens[token] = golden.at(token);
  const RenderLimits limits{.now = parse_time(golden.at("now").get<std::string>())};
  int index = 0;
  for (const auto& example : golden.at("cases")) {
    const auto text = format.render(example.at("messages"), example.at("tools"),
                                    example.at("add_generation_prompt").get<bool>(), OrderedJson::object(), limits);
    const std::string where = file.filename().string() + " case " + std::to_string(index++);
    if (example.contains("raises")) {
      EXPECT_FALSE(text) << where << ": expected " << example.at("raises") << ", got\n" << *text;
      if (!text) {
        EXPECT_EQ(text.error().code, ErrorCode::invalid_argument) << where << ": " << text.error().message;
      }
      continue;
    }
    EXPECT_TRUE(text) << where << ": " << text.error().message;
    if (text) {
      EXPECT_EQ(*text, example.at("expected").get<std::string>()) << where;
    }
  }
}

TEST(ChatTemplateGolden, EveryCaseIsExact) {
  WEFT_SKIP_WITHOUT("goldens/chat_templates");
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(shared_path("goldens/chat_templates")))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files)
    check(file);
}

class ChatModelGolden : public testing::TestWithParam<const char*> {};

TEST_P(ChatModelGolden, MessagesRenderToThePrompt) {
  const std::string golden = std::string("goldens/") + GetParam() + "/greedy.json";
  WEFT_SKIP_WITHOUT(golden);
  const auto format = load_chat_format(shared_path(std::string("models/") + GetParam()));
  ASSERT_TRUE(format) << format.error().message;
  ASSERT_TRUE(*format);
  const OrderedJson cases = shared_json(golden).at("cases");
  for (const auto& example : cases) {
    const auto text = (*format)->render(example.at("messages"), nullptr, true);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(*text, example.at("prompt").get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(Shared, ChatModelGolden, testing::Values("weft-tiny", "weft-tiny-moe", "minimind2-small"));

}  // namespace
}  // namespace weft::text
