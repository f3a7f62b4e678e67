// Chat templates: messages -> the text a chat model was trained on.
//
// The templates are Jinja, as Hugging Face's transformers sets it up (trim_blocks, lstrip_blocks, loop
// controls, a sandbox in which nothing can be changed in place; tojson, raise_exception, strftime_now, the
// generation tag). They come with a model and are hostile: rendering is bounded in steps, output and depth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "text/json.h"
#include "weft/status.h"

namespace weft::text {

namespace jinja {
struct Program;
}

struct RenderLimits {
  std::uint64_t steps = 20'000'000;           // one a node that is evaluated, and one for each 16 bytes that are made
  std::size_t output_bytes = 16u << 20;       // of the result, and of any string on the way
  int depth = 100;                            // macros within macros
  std::optional<std::tm> now = std::nullopt;  // local time, for strftime_now; absent: the clock's
};

// Immutable: any number of threads may render at once. Cheap to copy.
class ChatTemplate {
 public:
  // invalid_argument: "3:14: unexpected '}'", line and column of the template.
  static Result<ChatTemplate> compile(std::string_view source);

  // `variables` is an object: messages, tools, add_generation_prompt, bos_token, ... Fails with
  // invalid_argument where the template raises or does what Jinja would refuse, with resource_exhausted at a
  // limit; both with line:column.
  Result<std::string> render(const OrderedJson& variables, const RenderLimits& limits = {}) const;

 private:
  ChatTemplate() = default;
  std::shared_ptr<const jinja::Program> program_;  // shared by the copies; never changed
};

// A model's template(s) and the special tokens that they name. Immutable, any thread.
struct ChatFormat {
  ChatTemplate chat_template;
  std::optional<ChatTemplate> tool_template =
      std::nullopt;                                    // the one named "tool_use", taken where a request has tools
  OrderedJson special_tokens = OrderedJson::object();  // bos_token, eos_token, ...: strings

  // `messages` is an array of {"role", "content", ...}; `tools` an array or null; `more` an object of further
  // variables (a request's chat_template_kwargs), which win. The text has its special tokens: encode it
  // without adding any.
  Result<std::string> render(const OrderedJson& messages, const OrderedJson& tools, bool add_generation_prompt,
                             const OrderedJson& more = OrderedJson::object(), const RenderLimits& limits = {}) const;
};

// The template in `file` where one is given, else the directory's chat_template.jinja, else
// tokenizer_config.json's chat_template; nothing where there is none. Special tokens are those of
// tokenizer_config.json, then special_tokens_map.json. Errors name the file.
Result<std::optional<ChatFormat>> load_chat_format(const std::string& model_directory,
                                                   const std::optional<std::string>& file = std::nullopt);

}  // namespace weft::text
