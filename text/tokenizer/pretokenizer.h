// What comes between the normalizer and the model: cuts a text into pieces that are tokenised on their own.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/scanner.h"
#include "weft/status.h"

namespace weft::text {

// A text and where it is cut. A step may rewrite the text; then it lies in `storage`.
struct Pieces {
  std::string_view text;
  std::vector<Range> ranges;
  bool starts_input = false;  // the first piece begins where the whole input does
  std::string storage;

  std::string_view operator[](Range range) const { return text.substr(range.begin, range.end - range.begin); }
};

// Immutable; any thread.
class PreTokenizer {
 public:
  // tokenizer.json's pre_tokenizer, or null. unimplemented names a kind that is not known.
  static Result<PreTokenizer> from_json(const nlohmann::json& part);

  // Cuts `pieces` further, step by step. Fails only where a regular expression gives up.
  Status split(Pieces& pieces) const;

  // The pieces are to be read as bytes in a byte-level vocabulary.
  bool byte_level() const noexcept { return byte_level_; }

 private:
  using Step = std::function<Status(Pieces&)>;
  Status add(const nlohmann::json& part, int depth);
  Status add_byte_level(const nlohmann::json& part);
  Status add_split(const nlohmann::json& part);
  Status add_metaspace(const nlohmann::json& part);

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

}  // namespace weft::text
