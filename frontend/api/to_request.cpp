#include <random>

#include "frontend/api/api_request.h"
#include "frontend/api/fields.h"

namespace weft::frontend {
namespace {

constexpr const char* no_tokenizer =
    "the model directory has no tokenizer (tokenizer.json or tokenizer.model); send the prompt as a list of token ids";

// random_device is the kernel's generator: two requests never draw alike by accident.
std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

Result<std::vector<TokenId>> encode_chat(const Json& messages, const text::Tokenizer* tokenizer,
                                         const text::ChatFormat* chat) {
  if (tokenizer == nullptr) return fail(ErrorCode::invalid_argument, no_tokenizer);
  if (chat == nullptr)
    return fail(
        ErrorCode::invalid_argument,
        "the model directory has no chat template; set model.chat_template, or send 'prompt' to /v1/completions");
  WEFT_ASSIGN_CONTEXT(rendered, chat->render(messages, Json(), true), "'messages'");
  return tokenizer->encode(rendered, false);
}

struct Encode {
  const text::Tokenizer* tokenizer;
  const text::ChatFormat* chat;

  Result<std::vector<TokenId>> operator()(const std::vector<TokenId>& ids) const { return ids; }
  Result<std::vector<TokenId>> operator()(const std::string& text) const {
    if (tokenizer == nullptr) return fail(ErrorCode::invalid_argument, no_tokenizer);
    return tokenizer->encode(text, true);
  }
  Result<std::vector<TokenId>> operator()(const Json& messages) const { return encode_chat(messages, tokenizer, chat); }
};

}  // namespace

Result<Request> to_request(const ApiRequest& request, const text::Tokenizer* tokenizer, const text::ChatFormat* chat) {
  auto prompt = std::visit(Encode{tokenizer, chat}, request.prompt);
  if (!prompt) {
    // Whatever the tokenizer or the template calls it, for this request it will be wrong again.
    Error error = std::move(prompt).error();
    error.code = ErrorCode::invalid_argument;
    error.retryable = false;
    return fail(std::move(error));
  }
  if (prompt->empty()) return fail(ErrorCode::invalid_argument, "the prompt is empty: it has no token");
  Request made{
      .prompt = std::move(*prompt), .sampling = request.sampling, .stop = request.stop, .logprobs = request.logprobs};
  if (!request.seed_given && request.sampling.temperature > 0) made.sampling.seed = random_seed();
  return made;
}

}  // namespace weft::frontend
