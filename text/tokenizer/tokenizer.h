// Text <-> token ids, exactly as Hugging Face's tokenizers (tokenizer.json) or SentencePiece
// (tokenizer.model) give.
//
//   WEFT_ASSIGN(tokenizer, text::Tokenizer::load("models/weft-tiny"));
//   WEFT_ASSIGN(ids, tokenizer->encode("Hello", true));
//   text::Detokenizer stream(tokenizer, true);  // one for each running request
//   for (TokenId id : generated) write(stream.push(id));
//   write(stream.finish());
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/request.h"
#include "weft/status.h"

namespace weft::text {

class DecodeStream;

// Immutable: any number of threads may call it at once.
class Tokenizer {
 public:
  // Reads tokenizer.json, or where there is none tokenizer.model with config.json's bos_token_id. not_found
  // names what was looked for; invalid_argument and unimplemented name the file and the part of it that is
  // wrong or unknown.
  static Result<std::shared_ptr<const Tokenizer>> load(const std::string& model_directory);
  // From the text of a tokenizer.json.
  static Result<std::shared_ptr<const Tokenizer>> from_json(std::string_view tokenizer_json);
  // From the bytes of a SentencePiece model; `bos` goes in front where special tokens are asked for.
  static Result<std::shared_ptr<const Tokenizer>> from_sentencepiece(std::string_view model,
                                                                     std::optional<TokenId> bos);

  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;
  ~Tokenizer();

  // Special tokens written in the text become their ids either way; `add_special_tokens` adds those that the
  // post_processor puts around a text. invalid_argument with the byte offset where `text` is not UTF-8.
  // Time is linear in the text (n log n in a stretch that the pre-tokenizer does not split).
  Result<std::vector<TokenId>> encode(std::string_view text, bool add_special_tokens) const;

  // Ids that the vocabulary lacks, negative ones too, decode to nothing. Always valid UTF-8.
  std::string decode(std::span<const TokenId> ids, bool skip_special_tokens) const;

  std::string_view file() const noexcept;        // what it is made of: "tokenizer.json" or "tokenizer.model"
  std::size_t vocabulary_size() const noexcept;  // the largest id + 1
  std::optional<TokenId> id_of(std::string_view token) const;
  bool is_special(TokenId id) const noexcept;
  std::string_view token(TokenId id) const noexcept;  // as the vocabulary spells it; empty where there is none
  // What a token adds within a text, special tokens too: bytes, for several tokens may be needed for one character. Empty
  // for an id that the vocabulary lacks.
  std::string bytes_of(TokenId id) const;

  struct Parts;  // private to this room: what the text goes through
  explicit Tokenizer(std::unique_ptr<const Parts> parts);

 private:
  friend class Detokenizer;
  std::unique_ptr<const Parts> parts_;
};

// Decodes one request's tokens as they come. All that push() and finish() return, put together, is decode()
// of all ids. Text is held back while a later token could still change it (half a character; a run of
// byte-fallback tokens, which Hugging Face turns into replacement characters as a whole if it is not UTF-8 in
// the end). One thread at a time.
class Detokenizer {
 public:
  Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens);
  Detokenizer(Detokenizer&&) noexcept;
  Detokenizer& operator=(Detokenizer&&) noexcept;
  ~Detokenizer();

  std::string push(TokenId id);
  std::string finish();  // what was held back; after it the stream begins anew

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;  // shared: a request may outlive its owner's handle
  bool skip_special_tokens_ = true;
  std::unique_ptr<DecodeStream> stream_;
};

}  // namespace weft::text
