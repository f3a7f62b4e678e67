// The language of chat templates, each expectation what Jinja 3.1 gives.
#include "text/chat/chat_template.h"

#include <gmock/gmock.h>

namespace weft::text {
namespace {

using testing::HasSubstr;

Result<std::string> render(std::string_view source, const OrderedJson& variables = OrderedJson::object(),
                           const RenderLimits& limits = {}) {
  auto compiled = ChatTemplate::compile(source);
  if (!compiled) return tl::unexpected<Error>(compiled.error());
  return compiled->render(variables, limits);
}

std::string text(std::string_view source, const OrderedJson& variables = OrderedJson::object()) {
  const auto result = render(source, variables);
  return result ? *result : "ERROR " + result.error().message;
}

TEST(ChatTemplate, RendersTheBundledModelsChat) {
  const auto format = load_chat_format(WEFT_SOURCE_DIR "/models/weft-tiny");
  ASSERT_TRUE(format) << format.error().message;
  ASSERT_TRUE(*format);
  const auto messages = OrderedJson::parse(R"([{"role": "user", "content": "Hi"}])");
  EXPECT_EQ((*format)->render(messages, nullptr, true), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ((*format)->render(messages, nullptr, false), "<|im_start|>user\nHi<|im_end|>\n");
}

TEST(ChatTemplate, NamesLineAndColumnOfAMistake) {
  const auto broken = ChatTemplate::compile("one\n  {{ 1 + }}");
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().message, HasSubstr("2:10: found '}}'"));
  EXPECT_THAT(text("a\n{{ missing.role }}"), HasSubstr("2:12: UndefinedError: 'missing' is undefined"));
  EXPECT_THAT(text("{{ raise_exception('no system role') }}"), HasSubstr("1:4: no system role"));
}

}  // namespace
}  // namespace weft::text
