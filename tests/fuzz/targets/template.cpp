#include "tests/fuzz/fuzz_targets.h"
#include "tests/fuzz/targets/promise.h"
#include "text/chat/chat_template.h"

namespace weft::fuzz {
namespace {

const text::OrderedJson& variables() {
  static const auto made = *text::parse_ordered_json(R"({
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Hi \u00fc\n"},
                 {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "function": {"name": "f",
                   "arguments": {"a": [1, 2.5, true, null], "b": "x"}}}]},
                 {"role": "tool", "content": "42", "tool_call_id": "c1"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    "documents": null, "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>", "number": -7, "text": "a,b"})");
  return made;
}

}  // namespace

void fuzz_template(Input input) {
  const auto compiled = text::ChatTemplate::compile(as_text(input));
  if (!compiled) return promise_message(compiled.error());
  constexpr std::size_t most = 1u << 18;
  const text::RenderLimits limits{.steps = 100'000, .output_bytes = most, .depth = 50, .now = std::tm{.tm_mday = 1}};
  const auto rendered = compiled->render(variables(), limits);
  if (!rendered) return promise_message(rendered.error());
  promise(rendered->size() <= most, "more output than the limit");
  promise(!text::first_invalid_utf8(*rendered), "rendered text is not UTF-8");
  const auto again = compiled->render(variables(), limits);
  promise(again && *again == *rendered, "rendered twice, two texts");
}

}  // namespace weft::fuzz
