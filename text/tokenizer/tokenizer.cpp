#include "text/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "text/json.h"
#include "text/tokenizer/decoder.h"
#include "text/tokenizer/parts.h"
#include "text/utf8.h"

namespace weft::text {
namespace {

// The ranges of a piece are 32-bit, and a normalizer may make a text three times as long.
constexpr std::size_t longest_text = std::numeric_limits<std::int32_t>::max() / 4;

bool in(const std::vector<std::string>& tokens, TokenId id) {
  return id >= 0 && static_cast<std::size_t>(id) < tokens.size() && !tokens[static_cast<std::size_t>(id)].empty();
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  if (const auto bad = first_invalid_utf8(text))
    return fail(ErrorCode::invalid_argument, fmt::format("the text is not UTF-8 at byte {}", *bad));
  if (text.size() > longest_text)
    return fail(ErrorCode::invalid_argument,
                fmt::format("a text of {} bytes, expected at most {}", text.size(), longest_text));
  std::vector<TokenId> ids;
  if (add_special_tokens) ids = parts_->around.before;
  if (parts_->sentencepiece)
    WEFT_TRY(parts_->sentencepiece->encode(text, ids));
  else
    WEFT_TRY(parts_->encode(text, ids));
  if (add_special_tokens) ids.insert(ids.end(), parts_->around.after.begin(), parts_->around.after.end());
  return ids;
}

Status Tokenizer::Parts::encode(std::string_view text, std::vector<TokenId>& ids) const {
  BpeScratch scratch;
  std::vector<TokenFinder::Section> sections;
  raw_tokens.split(text, sections);
  for (const auto& section : sections) {
    const std::string_view part = text.substr(section.range.begin, section.range.end - section.range.begin);
    if (section.token >= 0)
      ids.push_back(section.token);
    else
      WEFT_TRY(encode_section(part, section.range.begin == 0, scratch, ids));
  }
  return {};
}

Status Tokenizer::Parts::encode_section(std::string_view text, bool starts_input, BpeScratch& scratch,
                                        std::vector<TokenId>& ids) const {
  std::string normalized;
  if (!normalizer.empty()) {
    WEFT_ASSIGN(changed, normalizer.apply(text));
    if (changed.size() > longest_text)
      return fail(ErrorCode::resource_exhausted, fmt::format("normalized, the text is {} bytes long", changed.size()));
    normalized = std::move(changed);
    text = normalized;
  }
  std::vector<TokenFinder::Section> sections;
  normalized_tokens.split(text, sections);
  for (const auto& section : sections) {
    if (section.token >= 0) {
      ids.push_back(section.token);
      continue;
    }
    Pieces pieces;
    pieces.text = text;
    pieces.ranges = {section.range};
    pieces.starts_input = starts_input && section.range.begin == 0;
    WEFT_TRY(pretokenizer.split(pieces));
    for (const Range& range : pieces.ranges)
      model->encode(pieces[range], scratch, ids);
  }
  return {};
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special_tokens) const {
  std::string text;
  DecodeStream stream(parts_->decoder);
  for (const TokenId id : ids)
    if (in(parts_->tokens, id) && !(skip_special_tokens && is_special(id))) stream.push(id, text);
  stream.finish(text);
  return text;
}

std::string_view Tokenizer::file() const noexcept {
  return parts_->sentencepiece ? "tokenizer.model" : "tokenizer.json";
}

std::size_t Tokenizer::vocabulary_size() const noexcept { return parts_->tokens.size(); }

std::optional<TokenId> Tokenizer::id_of(std::string_view token) const {
  const TokenId id = parts_->id_by_token.find(token);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

bool Tokenizer::is_special(TokenId id) const noexcept {
  return in(parts_->tokens, id) && parts_->special[static_cast<std::size_t>(id)];
}

std::string_view Tokenizer::token(TokenId id) const noexcept {
  return in(parts_->tokens, id) ? std::string_view(parts_->tokens[static_cast<std::size_t>(id)]) : std::string_view();
}

std::string Tokenizer::bytes_of(TokenId id) const {
  return in(parts_->tokens, id) ? parts_->decoder.bytes_of(id) : std::string();
}

Detokenizer::Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens)
    : tokenizer_(std::move(tokenizer)),
      skip_special_tokens_(skip_special_tokens),
      stream_(std::make_unique<DecodeStream>(tokenizer_->parts_->decoder)) {}
Detokenizer::Detokenizer(Detokenizer&&) noexcept = default;
Detokenizer& Detokenizer::operator=(Detokenizer&&) noexcept = default;
Detokenizer::~Detokenizer() = default;

std::string Detokenizer::push(TokenId id) {
  std::string text;
  if (in(tokenizer_->parts_->tokens, id) && !(skip_special_tokens_ && tokenizer_->is_special(id)))
    stream_->push(id, text);
  return text;
}

std::string Detokenizer::finish() {
  std::string text;
  stream_->finish(text);
  return text;
}

}  // namespace weft::text
