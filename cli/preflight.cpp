#include "cli/preflight.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "text/chat/chat_template.h"
#include "text/tokenizer/tokenizer.h"

namespace weft::cli {

Result<TextSide> read_text_side(const Setup& setup) {
  const Config::Model& model = setup.config.model;
  TextSide out{.tools = {.tokenizer = nullptr, .chat = nullptr, .defaults = setup.model.generation},
               .notes = {},
               .warnings = {}};
  auto tokenizer = text::Tokenizer::load(model.path);
  if (tokenizer)
    out.tools.tokenizer = std::move(*tokenizer);
  else if (tokenizer.error().code != ErrorCode::not_found)
    return fail(annotate(std::move(tokenizer).error(), "tokenizer"));
  else
    out.notes.emplace_back("the model has no tokenizer: prompts must be token ids");
  WEFT_ASSIGN_CONTEXT(chat,
                      text::load_chat_format(
                          model.path, model.chat_template.empty() ? std::nullopt : std::optional(model.chat_template)),
                      "chat template");
  if (chat)
    out.tools.chat = std::make_shared<const text::ChatFormat>(std::move(*chat));
  else
    out.notes.emplace_back("the model has no chat template: there can be no chats");
  // Common and mostly harmless: tokens that were added and never trained.
  if (const auto rows = static_cast<std::size_t>(setup.model.shape.vocabulary);
      out.tools.tokenizer != nullptr && out.tools.tokenizer->vocabulary_size() > rows)
    out.warnings.push_back(fmt::format(
        "the tokenizer has ids up to {}, the model's embedding {} rows: a text that uses the others is refused",
        out.tools.tokenizer->vocabulary_size() - 1, rows));
  return out;
}

}  // namespace weft::cli
