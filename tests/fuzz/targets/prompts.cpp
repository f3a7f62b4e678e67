#include "frontend/batch/batch_line.h"
#include "tests/fuzz/fuzz_targets.h"
#include "tests/fuzz/targets/promise.h"

namespace weft::fuzz {
namespace {

constexpr const char* model = WEFT_SOURCE_DIR "/models/weft-tiny";

}  // namespace

void fuzz_prompts(Input input) {
  static const std::shared_ptr<const text::Tokenizer> tokenizer = *text::Tokenizer::load(model);
  static const auto chat = *text::load_chat_format(model);
  const auto line = frontend::parse_batch_line(7, as_text(input), {}, 256);
  promise(!text::first_invalid_utf8(line.custom_id), "a custom_id is not UTF-8");
  if (!line.request) {
    promise_message(line.request.error());
    promise(!line.request.error().retryable, "a wrong line may be tried again");
    return;
  }
  const auto request = frontend::to_request(*line.request, tokenizer.get(), &*chat);
  if (!request) return promise_message(request.error());
  promise(!request->prompt.empty(), "an empty prompt");
  promise(request->stop.max_tokens > 0, "max_tokens below 1");
  const frontend::Answer answer{.id = "id",
                                .model = "model",
                                .created = 0,
                                .prompt = request->prompt,
                                .choices = {{.tokens = request->prompt,
                                             .logprobs = std::vector<TokenLogprobs>(request->prompt.size()),
                                             .prompt_logprobs = std::vector<TokenLogprobs>(request->prompt.size() - 1),
                                             .outcome = Outcome{}}}};
  const auto body = frontend::to_body(*line.request, answer, tokenizer);
  promise(!body.dump().empty(), "a body that cannot be written");
}

}  // namespace weft::fuzz
