#include "text/tokenizer/decoder.h"

#include <fmt/format.h>

#include <utility>

#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/json_fields.h"
#include "text/utf8.h"

namespace weft::text {
namespace {

using nlohmann::json;

std::string replace_all(const std::string& text, const std::string& from, const std::string& to) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t found = text.find(from); found != std::string::npos; found = text.find(from, at)) {
    out.append(text, at, found - at).append(to);
    at = found + from.size();
  }
  return out.append(text, at, std::string::npos);
}

std::string strip(std::string_view text, std::string_view character, std::size_t left, std::size_t right) {
  for (; left > 0 && text.starts_with(character); --left)
    text.remove_prefix(character.size());
  for (; right > 0 && text.ends_with(character); --right)
    text.remove_suffix(character.size());
  return std::string(text);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// "<0xE2>" is 0xE2; -1 for anything else.
std::int16_t byte_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const int high = hex_digit(token[3]);
  const int low = hex_digit(token[4]);
  return static_cast<std::int16_t>(high < 0 || low < 0 ? -1 : high * 16 + low);
}

}  // namespace

// How far a chain has come: what may follow depends on it.
struct Decoder::Stages {
  bool bytes = false;
  bool fused = false;
};

Result<Decoder> Decoder::from_json(const json& part, const std::vector<std::string>& tokens) {
  Decoder made;
  Stages stages;
  if (part.is_null())
    made.separator_ = " ";
  else
    WEFT_TRY(made.add(part, 0, stages));
  made.build(tokens);
  return made;
}

Decoder Decoder::sentencepiece(const std::vector<std::string>& tokens, const std::vector<bool>& is_byte,
                               bool drops_first_space) {
  Decoder made;
  made.maps_.push_back({.kind = Map::Kind::replace, .from = "\xE2\x96\x81", .to = " "});
  made.bytes_ = ByteText::each_of_run;
  made.strip_character_ = " ";
  made.strip_left_ = drops_first_space ? 1 : 0;
  made.build(tokens);
  for (std::size_t id = 0; id < tokens.size(); ++id)
    if (!is_byte[id]) made.byte_of_[id] = -1;
  return made;
}

Status Decoder::add(const json& part, int depth, Stages& stages) {
  WEFT_ASSIGN(type, type_of(part));
  if (type == "Sequence") {
    if (depth >= deepest_sequence)
      return fail(ErrorCode::invalid_argument, fmt::format("Sequence nested deeper than {}", deepest_sequence));
    WEFT_ASSIGN(parts, array_field(part, "decoders"));
    for (const json& inner : *parts)
      WEFT_TRY(add(inner, depth + 1, stages));
    return {};
  }
  const auto misplaced = [&] {
    return fail(ErrorCode::unimplemented, fmt::format("'{}' at this place in a Sequence; expected what works on single "
                                                      "tokens, then ByteFallback, Fuse, Strip",
                                                      shorten(type)));
  };
  if (type == "Fuse") {
    stages.fused = true;
    return {};
  }
  if (type == "Strip") {
    if (stages.bytes && !stages.fused) return misplaced();
    return add_strip(part, stages.fused);
  }
  if (stages.bytes || stages.fused) return misplaced();
  if (type == "ByteFallback") {
    stages.bytes = true;
    bytes_ = ByteText::whole_run;
    return {};
  }
  if (type == "ByteLevel") {
    stages.bytes = stages.fused = true;
    bytes_ = ByteText::all;
    maps_.push_back({.kind = Map::Kind::byte_level});
    return {};
  }
  if (type == "BPEDecoder") {
    WEFT_ASSIGN(suffix, string_field(part, "suffix", "</w>"));
    if (suffix.empty()) return fail(ErrorCode::invalid_argument, "suffix: found an empty string");
    suffix_ = std::move(suffix);
    stages.fused = true;
    return {};
  }
  return add_map(part, type);
}

Status Decoder::add_map(const json& part, const std::string& type) {
  if (type == "Replace") {
    WEFT_ASSIGN(pattern, pattern_field(part));
    WEFT_ASSIGN(content, string_field(part, "content", ""));
    if (pattern.regex || pattern.text.empty())
      return fail(ErrorCode::unimplemented, "Replace: expected a pattern that is a String, not empty");
    maps_.push_back({.kind = Map::Kind::replace, .from = pattern.text, .to = content});
    return {};
  }
  if (type == "Metaspace") {
    WEFT_ASSIGN(replacement, string_field(part, "replacement", "\xE2\x96\x81"));
    WEFT_ASSIGN(old_prefix, bool_field(part, "add_prefix_space", true));
    WEFT_ASSIGN(scheme, string_field(part, "prepend_scheme", old_prefix ? "always" : "never"));
    if (replacement.empty()) return fail(ErrorCode::invalid_argument, "replacement: found an empty string");
    maps_.push_back({.kind = Map::Kind::metaspace, .from = replacement, .to = " ", .keep_first = scheme == "never"});
    return {};
  }
  return fail(ErrorCode::unimplemented,
              fmt::format("unknown kind '{}'; expected Sequence, ByteLevel, Replace, Metaspace, BPEDecoder, "
                          "ByteFallback, Fuse or Strip",
                          shorten(type)));
}

Status Decoder::add_strip(const json& part, bool whole_text) {
  WEFT_ASSIGN(content, string_field(part, "content", " "));
  WEFT_ASSIGN(left, size_field(part, "start", 0));
  WEFT_ASSIGN(right, size_field(part, "stop", 0));
  if (content.empty()) return fail(ErrorCode::invalid_argument, "Strip: content: found an empty string");
  if (!whole_text) {
    maps_.push_back({.kind = Map::Kind::strip, .from = content, .left = left, .right = right});
    return {};
  }
  if (!strip_character_.empty()) return fail(ErrorCode::unimplemented, "Strip: two of them after Fuse");
  strip_character_ = content;
  strip_left_ = left;
  strip_right_ = right;
  return {};
}

std::string Decoder::mapped(std::string token, bool first) const {
  for (const Map& map : maps_) {
    switch (map.kind) {
      case Map::Kind::replace: token = replace_all(token, map.from, map.to); break;
      case Map::Kind::strip: token = strip(token, map.from, map.left, map.right); break;
      case Map::Kind::metaspace:
        token = replace_all(token, map.from, first && !map.keep_first ? std::string() : map.to);
        break;
      case Map::Kind::byte_level:
        // A token spelled outside the alphabet ("<|im_end|>" is inside it) is its own bytes.
        if (auto bytes = byte_level_bytes(token)) token = *std::move(bytes);
        break;
    }
  }
  return token;
}

void Decoder::build(const std::vector<std::string>& tokens) {
  bool first_differs = false;
  for (const Map& map : maps_)
    first_differs |= map.kind == Map::Kind::metaspace && !map.keep_first;
  const bool byte_tokens = bytes_ == ByteText::whole_run || bytes_ == ByteText::each_of_run;
  text_of_.reserve(tokens.size());
  for (const std::string& token : tokens) {
    text_of_.push_back(mapped(token, false));
    if (first_differs) first_text_of_.push_back(mapped(token, true));
    if (byte_tokens) byte_of_.push_back(byte_token(text_of_.back()));
  }
}

std::string Decoder::bytes_of(TokenId id) const {
  const auto index = static_cast<std::size_t>(id);
  if (!byte_of_.empty() && byte_of_[index] >= 0) return std::string(1, static_cast<char>(byte_of_[index]));
  return text_of_[index];
}

}  // namespace weft::text
