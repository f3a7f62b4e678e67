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

TEST(ChatTemplate, DoesWhatJinjaDoes) {
  const auto file = read_file(WEFT_SOURCE_DIR "/tests/unit/chat/jinja_cases.json", 1u << 20);
  ASSERT_TRUE(file) << file.error().message;
  const auto cases = parse_ordered_json(*file);
  ASSERT_TRUE(cases) << cases.error().message;
  for (const auto& example : cases->at("cases")) {
    const auto source = example.at("template").get<std::string>();
    const auto result = render(source, cases->at("variables"));
    if (example.contains("raises")) {
      EXPECT_FALSE(result) << source << "\n" << *result;
      continue;
    }
    EXPECT_TRUE(result) << source << "\n" << result.error().message;
    if (result) {
      EXPECT_EQ(*result, example.at("text").get<std::string>()) << source;
    }
  }
}

TEST(ChatTemplate, NamesLineAndColumnOfAMistake) {
  const auto broken = ChatTemplate::compile("one\n  {{ 1 + }}");
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().message, HasSubstr("2:10: found '}}'"));
  EXPECT_THAT(text("a\n{{ missing.role }}"), HasSubstr("2:12: UndefinedError: 'missing' is undefined"));
  EXPECT_THAT(text("{{ raise_exception('no system role') }}"), HasSubstr("1:4: no system role"));
}

TEST(ChatTemplate, NamesWhatJinjaHasAndThisVersionLacks) {
  EXPECT_THAT(text("a\n{{ 'x'|wordwrap(5) }}"), HasSubstr("2:8: Jinja's filter 'wordwrap' is not in this version"));
  EXPECT_THAT(text("{{ ['x']|map('urlize')|list }}"), HasSubstr("'urlize' is not in this version"));
  EXPECT_THAT(text("{{ 'x'|shout }}"), HasSubstr("1:8: TemplateRuntimeError: No filter named 'shout' found."));
  EXPECT_THAT(text("{{ lipsum(n=1) }}"), HasSubstr("1:4: lipsum() makes text at random, which is not in this version"));
  EXPECT_THAT(text("{{ 'x'.encode() }}"), HasSubstr("1:8: str.encode() is not in this version"));
  EXPECT_THAT(text("{{ 9223372036854775808 }}"), HasSubstr("1:4: a whole number beyond 64 bits"));
  EXPECT_THAT(text("{{ '9223372036854775808'|int }}"), HasSubstr("OverflowError: a whole number beyond 64 bits"));
  EXPECT_THAT(text("{{ 1e30|int }}"), HasSubstr("OverflowError: a whole number beyond 64 bits"));
  EXPECT_THAT(text("{{ 007 }}"), HasSubstr("1:4: the number 007 begins with 0"));
}

TEST(ChatTemplate, NamesTheMessageThatALoopIsAt) {
  const auto variables = OrderedJson::parse(R"({"messages": [{"n": 1}, {"n": 2}, {"n": "x"}], "xs": [{"n": "x"}]})");
  const auto told = [&](std::string_view source) { return text(source, variables); };
  EXPECT_THAT(told("{% for m in messages %}{{ m.n + 1 }}{% endfor %}"),
              HasSubstr("chat template, 1:31, at messages[2]: TypeError: "));
  EXPECT_THAT(told("{% set rest = messages[1:] %}{% for m in rest %}{{ m.n + 1 }}{% endfor %}"),
              HasSubstr("messages[2]"));
  EXPECT_THAT(told("{% for m in messages if m.n + 1 %}{% endfor %}"), HasSubstr("at messages[2]: "));
  EXPECT_THAT(told("{% for m in messages %}{% for i in [0] %}{{ i + 'x' }}{% endfor %}{% endfor %}"),
              HasSubstr("at messages[0]: "));
  EXPECT_THAT(told("{% for m in messages %}{% endfor %}{% for x in xs %}{{ x.n + 1 }}{% endfor %}"),
              HasSubstr("chat template, 1:60: TypeError"))
      << "another list's";
}

TEST(ChatTemplate, TakesTheTimeItIsGiven) {
  RenderLimits limits;
  std::tm now{};
  now.tm_year = 125;
  now.tm_mon = 2;
  now.tm_mday = 4;
  limits.now = now;
  EXPECT_EQ(render("{{ strftime_now('%Y-%m-%d %-d %b') }}", OrderedJson::object(), limits), "2025-03-04 4 Mar");
}

std::string repeated(std::string_view part, int times) {
  std::string out;
  for (int i = 0; i < times; ++i)
    out += part;
  return out;
}

TEST(ChatTemplate, StopsAtItsLimits) {
  for (const char* source :
       {"{% for i in range(90000) %}{% for j in range(90000) %}{{ j }}{% endfor %}{% endfor %}",
        "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}", "{{ 'x' * 1000000000000 }}",
        "{{ [1] * 1000000000000 }}", "{{ '%1000d' * 100000 }}{{ 'x'.center(10**15) }}",
        "{% set n = namespace(s='x') %}{% for i in range(80) %}{% set n.s = n.s + n.s %}{% endfor %}",
        "{% set n = namespace(s=[1]) %}{% for i in range(80) %}{% set n.s = n.s + n.s %}{% endfor %}",
        "{% set n = namespace(s=[1]) %}{% for i in range(150) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}",
        "{% set n = namespace(s=[1]) %}{% for i in range(90000) %}{% set n.s = [n.s] %}{% endfor %}",
        "{% set n = namespace(s=[1]) %}{% for i in range(90000) %}{% set n.s = [n.s].index %}{% endfor %}",
        "{% set n = namespace(s='abc') %}{% for i in range(60) %}{% set n.s = n.s.replace('', n.s) %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{% set n = namespace() %}{% set n.n = n %}{{ n }}",
        "{% for x in [[[1]]] recursive %}{{ loop([x]) }}{% endfor %}"}) {
    const auto result = render(source);
    ASSERT_FALSE(result) << source;
    EXPECT_EQ(result.error().code, ErrorCode::resource_exhausted) << source << "\n" << result.error().message;
  }
}

TEST(ChatTemplate, LeavesNothingBehindThatRefersToItself) {
  EXPECT_EQ(text("{% set n = namespace() %}{% set n.l = [n] %}{% for x in [1] %}{% set n.o = loop %}"
                 "{{ loop.changed(loop) }}{% endfor %}{% macro f() %}{{ n }}{% endmacro %}{% set n.f = f %}"),
            "True");
}

TEST(ChatTemplate, RefusesWhatNestsTooDeep) {
  constexpr int deep = 100'000;
  for (const std::string& source :
       {"{{ " + repeated("(", deep) + "1" + repeated(")", deep) + " }}", "{{ " + repeated("[", deep) + " }}",
        "{{ " + repeated("-", deep) + "1 }}", "{{ " + repeated("not ", deep) + "1 }}",
        "{{ a" + repeated(".a", deep) + " }}", "{{ 1" + repeated("+1", deep) + " }}",
        "{{ 1" + repeated("|d", deep) + " }}", "{{ 1" + repeated(" if 1 else 1", deep) + " }}",
        "{{ a" + repeated("[a", deep) + " }}", "{{ a" + repeated("(a", deep) + " }}", repeated("{% if 1 %}", deep),
        repeated("{% for a in b %}", deep), "{% set " + repeated("(", deep) + "a = 1 %}",
        "{{ 1 is divisibleby " + repeated("{1:", deep) + " }}"})
    EXPECT_FALSE(ChatTemplate::compile(source)) << source.substr(0, 40);
  OrderedJson nested = 1;
  for (int i = 0; i < 500; ++i)
    nested = OrderedJson::array({nested});
  EXPECT_FALSE(render("{{ x }}", {{"x", nested}}));
}

// A small generator that is the same everywhere.
struct Random {
  std::uint64_t state = 1;
  std::size_t below(std::size_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>(state >> 33) % limit;
  }
};

TEST(ChatTemplate, SurvivesMutatedTemplates) {
  const auto file = read_file(WEFT_SOURCE_DIR "/tests/unit/chat/jinja_cases.json", 1u << 20);
  ASSERT_TRUE(file);
  const auto cases = parse_ordered_json(*file);
  ASSERT_TRUE(cases);
  RenderLimits limits;
  limits.steps = 20'000;
  limits.output_bytes = 1u << 16;
  Random random;
  static constexpr std::string_view characters = "{}%#()[]'\"|.-+*~,:= \n\\a1\x80";
  const auto& all = cases->at("cases");
  const auto pick = [&] { return all[random.below(all.size())].at("template").get<std::string>(); };
  for (int i = 0; i < 4000; ++i) {
    std::string source = pick();
    const std::string other = pick();
    source.insert(random.below(source.size() + 1), other.substr(random.below(other.size() + 1), random.below(20)));
    for (std::size_t k = random.below(4); k > 0 && !source.empty(); --k) {
      if (random.below(2) == 0)
        source.erase(random.below(source.size()), 1 + random.below(4));
      else
        source[random.below(source.size())] = characters[random.below(characters.size())];
    }
    static_cast<void>(render(source, cases->at("variables"), limits));
  }
}

}  // namespace
}  // namespace weft::text
