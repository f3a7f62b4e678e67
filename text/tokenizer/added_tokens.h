// Tokens that are found in the text before anything else cuts it: "<|im_end|>" and the like.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/scanner.h"
#include "weft/request.h"
#include "weft/status.h"

namespace weft::text {

struct AddedToken {
  TokenId id = -1;
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // swallows the space before it
  bool rstrip = false;       // and after it
  bool normalized = true;    // looked for in the normalized text, itself normalized
  bool special = false;
};

// Reads tokenizer.json's added_tokens. invalid_argument where an id is given twice or is absurd.
Result<std::vector<AddedToken>> read_added_tokens(const nlohmann::json& list);

// Finds tokens in a text: at each place the longest, from left to right. Immutable; any thread.
class TokenFinder {
 public:
  // `patterns` are what is looked for; where one comes twice the last wins.
  void add(std::string_view pattern, const AddedToken& token);

  struct Section {
    Range range;
    TokenId token = -1;  // -1: text between tokens
  };
  // Appends the sections of `text`, none of them empty.
  void split(std::string_view text, std::vector<Section>& out) const;

 private:
  struct Node {
    std::vector<std::pair<unsigned char, std::uint32_t>> next;
    std::int32_t token = -1;  // index into tokens_
  };
  const Node* child(const Node& node, unsigned char byte) const noexcept;
  std::pair<std::int32_t, std::size_t> longest_at(std::string_view text, std::size_t at) const noexcept;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_{Node{}};
  std::array<bool, 256> begins_{};
};

}  // namespace weft::text
