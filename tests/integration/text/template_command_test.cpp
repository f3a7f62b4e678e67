#include <gmock/gmock.h>

#include "tests/integration/text/text_command.h"
#include "tests/support/temporary_directory.h"

namespace weft::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* hello = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}\n";

TextOutput render(const std::string& source, const std::string& input, const std::vector<std::string>& more = {}) {
  const TemporaryDirectory directory;
  directory.write("chat_template.jinja", source);
  directory.write("tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": {"content": "</s>"}})");
  std::vector<std::string> arguments = {"template", "--tokenizer", directory.path()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_text_command(arguments, input);
}

TEST(TemplateCommand, RendersWithAndWithoutAGenerationPrompt) {
  const auto output = run_text_command(
      {"template", "--tokenizer", bundled_model},
      std::string(hello) +
          "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"add_generation_prompt\":false,\"tools\":null}\n");
  ASSERT_EQ(output.lines.size(), 2u) << output.err;
  EXPECT_EQ(output.code, 0);
  const std::string chat = output.lines[1].at("text");
  EXPECT_THAT(chat, HasSubstr("<|im_start|>user\nHi<|im_end|>"));
  EXPECT_EQ(output.lines[0].at("text"), chat + "<|im_start|>assistant\n");
}

TEST(TemplateCommand, GivesTheTemplateSpecialTokensToolsAndVariables) {
  const auto output = render("{{ bos_token }}{{ tools | tojson }}{{ think }}{{ eos_token }}",
                             R"({"messages":[],"tools":[{"name":"f","a":1}],"chat_template_kwargs":{"think":"no"}})");
  ASSERT_EQ(output.lines.size(), 1u) << output.err;
  EXPECT_EQ(output.lines[0].at("text"), "<s>[{\"name\": \"f\", \"a\": 1}]no</s>");
}

TEST(TemplateCommand, NowFixesTheClock) {
  const auto output =
      render("{{ strftime_now('%A %d %B %Y %H:%M:%S, day %j') }}", hello, {"--now", "2025-03-14T09:26:53"});
  ASSERT_EQ(output.lines.size(), 1u) << output.err;
  EXPECT_EQ(output.lines[0].at("text"), "Friday 14 March 2025 09:26:53, day 073");
  for (const char* wrong :
       {"yesterday", "2025-02-30T00:00:00", "2025-03-14", "2025-03-14T09:26:53Z", "2025-13-01T00:00:00"}) {
    const auto refused = render("", hello, {"--now", wrong});
    EXPECT_EQ(refused.code, 2) << wrong;
    EXPECT_THAT(refused.err, HasSubstr("expected a time such as 2025-03-14T09:26:53"));
  }
}

TEST(TemplateCommand, AnotherTemplateMayBeNamed) {
  const TemporaryDirectory directory;
  const std::string file = directory.write("other.jinja", "other: {{ messages[0].content }}");
  const auto output = run_text_command({"template", "--tokenizer", bundled_model, "--chat-template", file}, hello);
  ASSERT_EQ(output.lines.size(), 1u) << output.err;
  EXPECT_EQ(output.lines[0].at("text"), "other: Hi");
}

TEST(TemplateCommand, ALineWhoseTemplateRaisesFailsAloneAndNamesThePlace) {
  const auto output = render("{% if messages[0].role != 'user' %}\n  {{ raise_exception('users only') }}{% endif %}ok",
                             std::string(hello) + "{\"messages\":[{\"role\":\"dog\"}]}\n" + hello);
  EXPECT_EQ(output.code, 1);
  ASSERT_EQ(output.lines.size(), 3u) << output.err;
  EXPECT_EQ(output.lines[0].at("text"), "ok");
  EXPECT_THAT(output.lines[1].at("error").get<std::string>(), AllOf(HasSubstr("2:"), HasSubstr("users only")));
  EXPECT_EQ(output.lines[2].at("text"), "ok");
}

TEST(TemplateCommand, LoopsOutputAndRecursionWithoutEndAreBounded) {
  for (const char* source : {"{% for i in range(99999) %}{% for j in range(99999) %}{% for k in range(99999) %}{% "
                             "endfor %}{% endfor %}{% endfor %}",
                             "{% set ns = namespace(x='xxxxxxxx') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x "
                             "%}{% endfor %}{{ ns.x }}",
                             "{{ 'x' * 1000000000 }}", "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}"}) {
    const auto output = render(source, hello);
    EXPECT_EQ(output.code, 1) << source;
    ASSERT_EQ(output.lines.size(), 1u) << source << output.err;
    EXPECT_THAT(output.lines[0].at("error").get<std::string>(), HasSubstr("1:")) << source;
  }
}

TEST(TemplateCommand, AMissingOrDamagedTemplateEndsItBeforeAnyLine) {
  const TemporaryDirectory directory;
  const auto missing = run_text_command({"template", "--tokenizer", directory.path()}, hello);
  EXPECT_EQ(missing.code, 3);
  EXPECT_THAT(missing.err, HasSubstr("no chat template"));
  const auto damaged = render("{% if %}", hello);
  EXPECT_EQ(damaged.code, 2);
  EXPECT_THAT(damaged.err, HasSubstr("chat_template.jinja: 1:"));
  EXPECT_EQ(damaged.out, "");
}

}  // namespace
}  // namespace weft::test
