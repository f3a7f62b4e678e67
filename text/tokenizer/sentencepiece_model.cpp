#include "text/tokenizer/sentencepiece_model.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include "text/tokenizer/bpe.h"
#include "text/utf8.h"

namespace weft::text {

SentencePieceModel::SentencePieceModel() : processor_(std::make_unique<sentencepiece::SentencePieceProcessor>()) {}
SentencePieceModel::SentencePieceModel(SentencePieceModel&&) noexcept = default;
SentencePieceModel& SentencePieceModel::operator=(SentencePieceModel&&) noexcept = default;
SentencePieceModel::~SentencePieceModel() = default;

Result<SentencePieceModel> SentencePieceModel::from_bytes(std::string_view bytes) {
  SentencePieceModel model;
  const auto status = model.processor_->LoadFromSerializedProto(bytes);
  if (!status.ok())  // what the library says of it is a line of its own source
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{} bytes that are no SentencePiece model, or a damaged one; fetch the file again", bytes.size()));
  const int count = model.processor_->GetPieceSize();
  if (count <= 0 || count > max_token_id)
    return fail(ErrorCode::invalid_argument, fmt::format("{} pieces, expected 1 to {}", count, max_token_id));
  for (int id = 0; id < count; ++id) {
    model.pieces_.push_back(model.processor_->IdToPiece(id));
    if (first_invalid_utf8(model.pieces_.back()))
      return fail(ErrorCode::invalid_argument, fmt::format("piece {} is not UTF-8", id));
    model.is_byte_.push_back(model.processor_->IsByte(id));
    model.is_special_.push_back(model.processor_->IsControl(id) || model.processor_->IsUnknown(id));
  }
  model.drops_first_space_ = model.takes_back_space();
  return model;
}

// The library does not tell whether the model puts a space in front of a text, so a word shows it.
bool SentencePieceModel::takes_back_space() const {
  constexpr std::string_view space = "\xE2\x96\x81";
  for (std::size_t id = 0; id < pieces_.size(); ++id) {
    if (is_special_[id] || is_byte_[id] || pieces_[id].size() <= space.size() || !pieces_[id].starts_with(space))
      continue;
    std::string decoded;
    return processor_->Decode(std::vector<int>{static_cast<int>(id)}, &decoded).ok() && !decoded.starts_with(' ') &&
           !decoded.starts_with(space);
  }
  return true;
}

Status SentencePieceModel::encode(std::string_view text, std::vector<TokenId>& out) const {
  std::vector<int> ids;
  const auto status = processor_->Encode(text, &ids);
  if (!status.ok()) return fail(ErrorCode::internal, fmt::format("SentencePiece: {}", status.error_message()));
  out.insert(out.end(), ids.begin(), ids.end());
  return {};
}

}  // namespace weft::text
