// What a Tokenizer is made of. Private to this room.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/bpe.h"
#include "text/tokenizer/decoder.h"
#include "text/tokenizer/flat_table.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/post_processor.h"
#include "text/tokenizer/pretokenizer.h"
#include "text/tokenizer/sentencepiece_model.h"
#include "text/tokenizer/tokenizer.h"

namespace weft::text {

// One of two roads: tokenizer.json's (added tokens, normalizer, pre-tokenizer, model) or sentencepiece.
struct Tokenizer::Parts {
  Status encode(std::string_view text, std::vector<TokenId>& ids) const;
  Status encode_section(std::string_view text, bool starts_input, BpeScratch& scratch, std::vector<TokenId>& ids) const;

  std::optional<SentencePieceModel> sentencepiece;

  TokenFinder raw_tokens;         // looked for in the text as it comes
  TokenFinder normalized_tokens;  // and in the normalized text
  Normalizer normalizer;
  PreTokenizer pretokenizer;
  std::optional<Bpe> model;

  PostProcessor around;
  Decoder decoder;
  std::vector<std::string> tokens;  // by id, as the vocabulary spells them; empty: no such id
  std::vector<bool> special;        // by id
  StringTable id_by_token;          // points into `tokens`
};

}  // namespace weft::text
