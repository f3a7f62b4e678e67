// Reading the model of a tokenizer.json. Every length and id is checked here, so that encode() need not.
#include <fmt/format.h>

#include <algorithm>

#include "text/tokenizer/bpe.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/json_fields.h"

namespace weft::text {
namespace {

using nlohmann::json;

// "left right", or since tokenizers 0.20 ["left", "right"].
Result<std::pair<std::string_view, std::string_view>> read_pair(const json& merge) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return std::pair<std::string_view, std::string_view>(merge[0].get_ref<const std::string&>(),
                                                         merge[1].get_ref<const std::string&>());
  if (merge.is_string()) {
    const std::string_view text = merge.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space != std::string_view::npos && text.find(' ', space + 1) == std::string_view::npos)
      return std::pair(text.substr(0, space), text.substr(space + 1));
  }
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: expected \"left right\" or [\"left\", \"right\"]",
                          shorten(merge.dump(-1, ' ', false, json::error_handler_t::replace))));
}

}  // namespace

Result<Bpe> Bpe::from_json(const json& model, bool byte_level) {
  Bpe bpe;
  bpe.byte_level_ = byte_level;
  WEFT_ASSIGN(fuse_unknown, bool_field(model, "fuse_unk", false));
  WEFT_ASSIGN(ignore_merges, bool_field(model, "ignore_merges", false));
  WEFT_ASSIGN(byte_fallback, bool_field(model, "byte_fallback", false));
  bpe.fuse_unknown_ = fuse_unknown;
  bpe.ignore_merges_ = ignore_merges;
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    WEFT_ASSIGN(affix, string_field(model, key, ""));
    if (!affix.empty())
      return fail(ErrorCode::unimplemented,
                  fmt::format("{} = '{}' is not supported; expected null or ''", key, shorten(affix)));
  }
  if (const auto dropout = model.find("dropout");
      dropout != model.end() && !dropout->is_null() && *dropout != json(0) && *dropout != json(0.0))
    return fail(ErrorCode::unimplemented, "dropout makes encoding random; expected null or 0");
  WEFT_TRY(bpe.read_vocabulary(model));
  WEFT_TRY(bpe.read_bytes(byte_fallback));
  const auto merges = model.find("merges");
  if (merges == model.end() || !merges->is_array())
    return fail(ErrorCode::invalid_argument, "merges: expected an array");
  WEFT_TRY_CONTEXT(bpe.read_merges(*merges), "merges");
  bpe.find_whole_words();
  return bpe;
}

Status Bpe::read_vocabulary(const json& model) {
  const auto vocabulary = model.find("vocab");
  if (vocabulary == model.end() || !vocabulary->is_object())
    return fail(ErrorCode::invalid_argument, "vocab: expected an object of token -> id");
  TokenId largest = -1;
  for (const auto& [token, value] : vocabulary->items()) {
    WEFT_ASSIGN_CONTEXT(id, token_id(value), fmt::format("vocab: token '{}'", shorten(token)));
    largest = std::max(largest, id);
  }
  tokens_.resize(static_cast<std::size_t>(largest + 1));
  spelling_.reserve(vocabulary->size());
  for (const auto& [token, value] : vocabulary->items()) {
    std::string& place = tokens_[value.get<std::size_t>()];
    if (!place.empty())
      return fail(ErrorCode::invalid_argument, fmt::format("vocab: id {} is given to '{}' and to '{}'",
                                                           value.get<TokenId>(), shorten(place), shorten(token)));
    place = token;
    if (!token.empty()) spelling_.insert(place, value.get<TokenId>());
  }
  WEFT_ASSIGN(unknown, string_field(model, "unk_token", ""));
  if (!unknown.empty()) {
    unknown_ = spelling_.find(unknown);
    if (unknown_ < 0)
      return fail(ErrorCode::invalid_argument, fmt::format("unk_token '{}' is not in vocab", shorten(unknown)));
  }
  return {};
}

Status Bpe::read_bytes(bool byte_fallback) {
  byte_ids_.fill(-1);
  byte_fallback_ = byte_fallback && !byte_level_;
  if (!byte_level_) {
    pieces_ = spelling_;
    for (unsigned b = 0; b < 256; ++b)
      byte_ids_[b] = spelling_.find(fmt::format("<0x{:02X}>", b));
    return {};
  }
  bytes_.resize(tokens_.size());
  pieces_.reserve(tokens_.size());
  for (std::size_t id = 0; id < tokens_.size(); ++id) {
    auto bytes = byte_level_bytes(tokens_[id]);
    if (!bytes || bytes->empty()) continue;  // "<|endoftext|>" spelled outside the alphabet: no text gives it
    bytes_[id] = *std::move(bytes);
    pieces_.insert(bytes_[id], static_cast<TokenId>(id));
  }
  for (unsigned b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    byte_ids_[b] = pieces_.find({&byte, 1});
  }
  return {};
}

Status Bpe::read_merges(const json& merges) {
  ranks_.reserve(merges.size());
  merged_.reserve(merges.size());
  for (const json& merge : merges) {
    if (merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version")) continue;
    const auto where = [&] { return fmt::format("merge {}", merged_.size()); };
    WEFT_ASSIGN_CONTEXT(pair, read_pair(merge), where());
    const TokenId left = spelling_.find(pair.first);
    const TokenId right = spelling_.find(pair.second);
    const std::string together = std::string(pair.first) + std::string(pair.second);
    const TokenId result = spelling_.find(together);
    for (const auto& [id, token] :
         {std::pair(left, pair.first), std::pair(right, pair.second), std::pair(result, std::string_view(together))})
      if (id < 0)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{}: token '{}' is not in vocab", where(), shorten(token)));
    ranks_.insert(left, right, static_cast<std::uint32_t>(merged_.size()));
    merged_.push_back(result);
  }
  return {};
}

}  // namespace weft::text
