#include "frontend/batch/batch_line.h"
#include "tests/fuzz/fuzz_targets.h"
#include "tests/fuzz/targets/promise.h"

namespace weft::fuzz {
namespace {

constexpr const char* model = WEFT_SOURCE_DIR "/models/weft-tiny";

}  // namespace

void fuzz_prompts(Input input) {
  static const auto tokenizer = *text::Tokenizer::load(model);
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
  const auto body =
      frontend::to_body(*line.request, "id", "model", 0, static_cast<std::int64_t>(request->prompt.size()),
                        request->prompt, Outcome{}, tokenizer.get());
  promise(!body.dump().empty(), "a body that cannot be written");
}

}  // namespace weft::fuzz
