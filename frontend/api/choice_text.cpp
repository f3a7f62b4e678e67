#include "frontend/api/choice_text.h"

#include <algorithm>

#include "text/utf8.h"

namespace weft::frontend {
namespace {

// Text as it grows token by token.
class Writer {
 public:
  explicit Writer(const std::shared_ptr<const text::Tokenizer>& tokenizer) : stream_(tokenizer, true) {}

  void add(TokenId id) {
    mark();
    append(stream_.push(id));
  }
  void mark() { out_.offsets.push_back(characters_); }
  void show_instead(std::string text) {
    characters_ = text::count_characters(text);
    out_.text = std::move(text);
  }
  void finish() { append(stream_.finish()); }
  std::size_t bytes() const noexcept { return out_.text.size(); }

  ChoiceText cut_to(std::size_t bytes) && {
    if (bytes < out_.text.size()) out_.text.resize(bytes);
    const std::size_t characters = text::count_characters(out_.text);
    for (std::size_t& offset : out_.offsets)
      offset = std::min(offset, characters);
    return std::move(out_);
  }

 private:
  void append(const std::string& text) {
    characters_ += text::count_characters(text);
    out_.text += text;
  }

  text::Detokenizer stream_;
  ChoiceText out_;
  std::size_t characters_ = 0;
};

}  // namespace

ChoiceText choice_text(const ApiRequest& request, std::span<const TokenId> prompt, const ChoiceAnswer& choice,
                       const std::shared_ptr<const text::Tokenizer>& tokenizer) {
  const std::size_t shown_tokens = (request.echo ? prompt.size() : 0) + choice.tokens.size();
  if (tokenizer == nullptr) return {.text = {}, .offsets = std::vector<std::size_t>(shown_tokens, 0)};
  Writer writer(tokenizer);
  if (request.echo) {
    for (const TokenId id : prompt)
      writer.add(id);
    if (const auto* text = std::get_if<std::string>(&request.prompt); text != nullptr) writer.show_instead(*text);
  }
  const std::size_t begin = writer.bytes();
  const bool stopped = choice.outcome.reason == FinishReason::stop;
  const bool by_string = stopped && !choice.outcome.matched_stop.empty() && choice.outcome.text_offset >= 0;
  for (std::size_t i = 0; i < choice.tokens.size(); ++i) {
    const bool ends = stopped && !by_string && i + 1 == choice.tokens.size();
    if (ends && !request.include_stop)
      writer.mark();
    else
      writer.add(choice.tokens[i]);
  }
  writer.finish();
  if (!by_string) return std::move(writer).cut_to(writer.bytes());
  // The leader found the string in the generated text alone, whose first space some tokenizers drop: so both are counted
  // from their ends.
  const std::size_t whole = request.echo ? tokenizer->decode(choice.tokens, true).size() : writer.bytes() - begin;
  const std::size_t kept = static_cast<std::size_t>(choice.outcome.text_offset) +
                           (request.include_stop ? choice.outcome.matched_stop.size() : 0);
  const std::size_t dropped = whole - std::min(kept, whole);
  return std::move(writer).cut_to(std::max(begin, writer.bytes() - std::min(dropped, writer.bytes())));
}

}  // namespace weft::frontend
