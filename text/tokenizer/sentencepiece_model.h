// A SentencePiece model (tokenizer.model), through the sentencepiece library. Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "weft/request.h"
#include "weft/status.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace weft::text {

class SentencePieceModel {
 public:
  static Result<SentencePieceModel> from_bytes(std::string_view model);
  SentencePieceModel(SentencePieceModel&&) noexcept;
  SentencePieceModel& operator=(SentencePieceModel&&) noexcept;
  ~SentencePieceModel();

  Status encode(std::string_view text, std::vector<TokenId>& out) const;

  // By id.
  const std::vector<std::string>& pieces() const noexcept { return pieces_; }
  const std::vector<bool>& is_byte() const noexcept { return is_byte_; }
  const std::vector<bool>& is_special() const noexcept { return is_special_; }  // control pieces and the unknown
  bool drops_first_space() const noexcept { return drops_first_space_; }        // decoding takes back a dummy prefix

 private:
  SentencePieceModel();
  bool takes_back_space() const;

  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  std::vector<std::string> pieces_;
  std::vector<bool> is_byte_;
  std::vector<bool> is_special_;
  bool drops_first_space_ = false;
};

}  // namespace weft::text
