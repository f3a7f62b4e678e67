// Making a Tokenizer: from a directory, a tokenizer.json, a SentencePiece model.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <new>
#include <utility>

#include "text/json.h"
#include "text/tokenizer/json_fields.h"
#include "text/tokenizer/parts.h"

namespace weft::text {
namespace {

using nlohmann::json;

constexpr std::size_t largest_file = 64u << 20;  // the largest in use are about 35 MB

const json& part_of(const json& document, const char* key) {
  static const json none;
  const auto found = document.find(key);
  return found == document.end() ? none : *found;
}

// The vocabulary by id: the model's, then the added tokens', which may repeat the model's but not contradict
// it.
Status join_vocabularies(std::vector<AddedToken>& added, Tokenizer::Parts& parts) {
  parts.tokens = parts.model->tokens();
  for (AddedToken& token : added) {
    if (token.content.empty()) continue;
    if (const TokenId known = parts.model->id_of(token.content); known >= 0) token.id = known;
    const auto index = static_cast<std::size_t>(token.id);
    if (index >= parts.tokens.size()) parts.tokens.resize(index + 1);
    if (!parts.tokens[index].empty() && parts.tokens[index] != token.content)
      return fail(ErrorCode::invalid_argument,
                  fmt::format("added_tokens: id {} is '{}', but the model's vocab has '{}' there", token.id,
                              shorten(token.content), shorten(parts.tokens[index])));
    parts.tokens[index] = token.content;
  }
  return {};
}

// Also makes `decoded`: the tokens as the decoder gets them; empty: as they are. One that is looked for in normalized text is
// normalized there too, as in Hugging Face tokenizers from 0.23 on, so that the decoder undoes to it what it undoes to the others.
Status add_tokens(const std::vector<AddedToken>& added, Tokenizer::Parts& parts, std::vector<std::string>& decoded) {
  parts.special.assign(parts.tokens.size(), false);
  for (const AddedToken& token : added) {
    if (token.content.empty()) continue;
    parts.special[static_cast<std::size_t>(token.id)] = token.special;
    if (!token.normalized) {
      parts.raw_tokens.add(token.content, token);
      continue;
    }
    WEFT_ASSIGN_CONTEXT(pattern, parts.normalizer.apply(token.content), "added_tokens");
    parts.normalized_tokens.add(pattern, token);
    if (pattern == token.content) continue;
    if (decoded.empty()) decoded = parts.tokens;
    decoded[static_cast<std::size_t>(token.id)] = pattern;
  }
  return {};
}

// What goes around every text is what a prompt begins with: an id that no token has would be told of each prompt.
Status check_around(const Tokenizer::Parts& parts) {
  for (const auto* side : {&parts.around.before, &parts.around.after})
    for (const TokenId id : *side)
      if (static_cast<std::size_t>(id) >= parts.tokens.size() || parts.tokens[static_cast<std::size_t>(id)].empty())
        return fail(ErrorCode::invalid_argument,
                    fmt::format("id {} is neither in the model's vocab nor in added_tokens", id));
  return {};
}

void index_tokens(Tokenizer::Parts& parts) {
  parts.id_by_token.reserve(parts.tokens.size());
  for (std::size_t id = 0; id < parts.tokens.size(); ++id)
    if (!parts.tokens[id].empty()) parts.id_by_token.insert(parts.tokens[id], static_cast<TokenId>(id));
}

Status read_document(const json& document, Tokenizer::Parts& parts) {
  if (!document.is_object())
    return fail(ErrorCode::invalid_argument, fmt::format("found {}, expected an object", kind_of(document.type())));
  const json& model = part_of(document, "model");
  if (!model.is_object()) return fail(ErrorCode::invalid_argument, "model: expected an object");
  // Files of old leave the type out; what has merges is a BPE.
  WEFT_ASSIGN_CONTEXT(type, string_field(model, "type", model.contains("merges") ? "BPE" : ""), "model");
  if (type != "BPE")
    return fail(ErrorCode::unimplemented, fmt::format("model: unknown kind '{}'; expected BPE", shorten(type)));
  WEFT_ASSIGN_CONTEXT(normalizer, Normalizer::from_json(part_of(document, "normalizer")), "normalizer");
  parts.normalizer = std::move(normalizer);
  WEFT_ASSIGN_CONTEXT(pretokenizer, PreTokenizer::from_json(part_of(document, "pre_tokenizer")), "pre_tokenizer");
  parts.pretokenizer = std::move(pretokenizer);
  WEFT_ASSIGN_CONTEXT(bpe, Bpe::from_json(model, parts.pretokenizer.byte_level()), "model");
  parts.model.emplace(std::move(bpe));
  WEFT_ASSIGN_CONTEXT(added, read_added_tokens(part_of(document, "added_tokens")), "added_tokens");
  WEFT_TRY(join_vocabularies(added, parts));
  std::vector<std::string> decoded;
  WEFT_TRY(add_tokens(added, parts, decoded));
  WEFT_ASSIGN_CONTEXT(around, PostProcessor::from_json(part_of(document, "post_processor")), "post_processor");
  parts.around = std::move(around);
  WEFT_TRY_CONTEXT(check_around(parts), "post_processor");
  WEFT_ASSIGN_CONTEXT(
      decoder, Decoder::from_json(part_of(document, "decoder"), decoded.empty() ? parts.tokens : decoded), "decoder");
  parts.decoder = std::move(decoder);
  index_tokens(parts);
  return {};
}

// config.json's bos_token_id, where a directory has only a SentencePiece model.
Result<std::optional<TokenId>> bos_of(const std::string& path) {
  WEFT_ASSIGN(text, read_file(path, 1u << 20));
  WEFT_ASSIGN_CONTEXT(config, parse_json(text), path);
  const auto bos = config.find("bos_token_id");
  if (bos == config.end() || bos->is_null()) return std::optional<TokenId>{};
  WEFT_ASSIGN_CONTEXT(id, token_id(*bos), path + ": bos_token_id");
  return std::optional<TokenId>(id);
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> Tokenizer::from_json(std::string_view tokenizer_json) {
  WEFT_ASSIGN(document, parse_json(tokenizer_json));
  auto parts = std::make_unique<Parts>();
  WEFT_TRY(read_document(document, *parts));
  return std::make_shared<const Tokenizer>(std::move(parts));
}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::from_sentencepiece(std::string_view bytes,
                                                                       std::optional<TokenId> bos) {
  WEFT_ASSIGN(model, SentencePieceModel::from_bytes(bytes));
  auto parts = std::make_unique<Parts>();
  parts->tokens = model.pieces();
  parts->special = model.is_special();
  parts->decoder = Decoder::sentencepiece(model.pieces(), model.is_byte(), model.drops_first_space());
  if (bos) {
    if (static_cast<std::size_t>(*bos) >= parts->tokens.size())
      return fail(ErrorCode::invalid_argument,
                  fmt::format("bos_token_id {}: the model has {} pieces", *bos, parts->tokens.size()));
    parts->around.before = {*bos};
  }
  index_tokens(*parts);
  parts->sentencepiece.emplace(std::move(model));
  return std::make_shared<const Tokenizer>(std::move(parts));
}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::load(const std::string& model_directory) {
  const auto path = [&](const char* name) { return (std::filesystem::path(model_directory) / name).string(); };
  std::error_code ignored;
  if (std::filesystem::exists(path("tokenizer.json"), ignored)) {
    WEFT_ASSIGN(text, read_file(path("tokenizer.json"), largest_file));
    auto made = from_json(text);
    if (!made) return fail(annotate(std::move(made).error(), path("tokenizer.json")));
    return made;
  }
  if (!std::filesystem::exists(path("tokenizer.model"), ignored))
    return fail(ErrorCode::not_found, fmt::format("{}: neither tokenizer.json nor tokenizer.model is there; a model "
                                                  "without one takes prompts of token ids only",
                                                  model_directory));
  WEFT_ASSIGN(bytes, read_file(path("tokenizer.model"), largest_file));
  std::optional<TokenId> bos;
  if (std::filesystem::exists(path("config.json"), ignored)) {
    WEFT_ASSIGN(found, bos_of(path("config.json")));
    bos = found;
  }
  auto made = from_sentencepiece(bytes, bos);
  if (!made) return fail(annotate(std::move(made).error(), path("tokenizer.model")));
  return made;
}

}  // namespace weft::text
