// Ids back to text: tokenizer.json's decoder, compiled so that each token's share is looked up, not computed.
//
// A chain of Hugging Face decoders maps a list of strings to a list of strings. Each chain in use has this
// shape, which can run as tokens come: a map of each token on its own; then perhaps runs of byte tokens
// become characters; then all is one text, whose ends may be stripped. A chain of another shape is refused by
// name.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/request.h"
#include "weft/status.h"

namespace weft::text {

// How bytes become text.
enum class ByteText {
  none,         // tokens are text
  all,          // all tokens are bytes; each maximal ill-formed part is one U+FFFD (ByteLevel)
  whole_run,    // a run of "<0xXX>" is text if all of it is UTF-8, else one U+FFFD a byte (ByteFallback)
  each_of_run,  // a run of "<0xXX>": each byte that is no part of a character is one U+FFFD (SentencePiece)
};

// Immutable; any thread.
class Decoder {
 public:
  // tokenizer.json's decoder, or null; `tokens` are the strings by id.
  static Result<Decoder> from_json(const nlohmann::json& part, const std::vector<std::string>& tokens);
  // SentencePiece's own rule: "▁" is a space, and the first is dropped where the model put it there.
  static Decoder sentencepiece(const std::vector<std::string>& tokens, const std::vector<bool>& is_byte,
                               bool drops_first_space);

  // A token's share of a text in which it is not the first; 0 <= id < vocabulary size.
  std::string bytes_of(TokenId id) const;

 private:
  friend class DecodeStream;
  struct Map {
    enum class Kind { replace, strip, metaspace, byte_level } kind = Kind::replace;
    std::string from{};
    std::string to{};
    bool keep_first = false;  // metaspace: the first token keeps its spaces
    std::size_t left = 0;     // strip: at most so many of `from`
    std::size_t right = 0;
  };
  struct Stages;
  Status add(const nlohmann::json& part, int depth, Stages& stages);
  Status add_map(const nlohmann::json& part, const std::string& type);
  Status add_strip(const nlohmann::json& part, bool whole_text);
  std::string mapped(std::string token, bool first) const;
  void build(const std::vector<std::string>& tokens);

  std::vector<Map> maps_;
  ByteText bytes_ = ByteText::none;
  std::string separator_;              // between tokens; without a decoder a space
  std::optional<std::string> suffix_;  // BPEDecoder: becomes a space, at the end of the text nothing
  std::string strip_character_;        // of the whole text
  std::size_t strip_left_ = 0;
  std::size_t strip_right_ = 0;
  std::vector<std::string> text_of_;        // by id
  std::vector<std::string> first_text_of_;  // where the first token differs; else empty
  std::vector<std::int16_t> byte_of_;       // by id; -1: not a byte token. Empty without byte fallback
};

// One text being decoded.
class DecodeStream {
 public:
  explicit DecodeStream(const Decoder& decoder) : decoder_(&decoder) {}

  void push(TokenId id, std::string& out);  // 0 <= id < vocabulary size
  void finish(std::string& out);            // and begins anew

 private:
  void release_bytes(bool at_end, std::string& out);
  void release_run(std::string& out);
  void release_suffixed(bool at_end, std::string& out);
  void emit(std::string_view text, std::string& out);

  const Decoder* decoder_;
  std::string bytes_;         // not yet text
  std::string suffixed_;      // the last token, until it is known whether another follows
  std::size_t trailing_ = 0;  // strip characters held back
  std::size_t stripped_ = 0;  // on the left
  bool left_done_ = false;
  bool first_ = true;
};

}  // namespace weft::text
