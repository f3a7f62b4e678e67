// Byte-pair encoding of one piece of text: begin with its characters (or bytes), then merge, again and again,
// the adjacent pair of the lowest rank, leftmost first. Sennrich et al., "Neural Machine Translation of Rare
// Words with Subword Units", ACL 2016, algorithm 1.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/flat_table.h"
#include "text/tokenizer/rank_queue.h"
#include "weft/request.h"
#include "weft/status.h"

namespace weft::text {

// A file may number its tokens as it likes, but not beyond this: the tables are as long as the largest id.
inline constexpr TokenId max_token_id = (1 << 22) - 1;

// Working memory that one encode() call carries from piece to piece.
struct BpeScratch {
  struct Symbol {
    TokenId id = -1;
    std::uint32_t rank = PairTable::none;  // of the pair that this symbol makes with the next
    std::int32_t previous = -1;
    std::int32_t next = -1;
  };
  std::vector<Symbol> symbols;
  RankHeap heap;
  RankQueue queue;
};

// Immutable after from_json.
class Bpe {
 public:
  Bpe(Bpe&&) = default;  // not copyable: its tables point into its strings
  Bpe& operator=(Bpe&&) = default;

  // `model` is tokenizer.json's model, of type BPE. byte_level: the pieces to encode are raw bytes and the
  // vocabulary spells them in the byte-level alphabet. Fails where a merge or its result is not in the
  // vocabulary.
  static Result<Bpe> from_json(const nlohmann::json& model, bool byte_level);

  // Appends the ids of `piece`. No recursion; n under 2^31. Time is linear in n but for the sorts of RankQueue.
  void encode(std::string_view piece, BpeScratch& scratch, std::vector<TokenId>& out) const;

  // As the file spells them; index is the id, empty where an id is not given.
  const std::vector<std::string>& tokens() const noexcept { return tokens_; }
  TokenId id_of(std::string_view token) const noexcept { return spelling_.find(token); }

 private:
  Bpe() = default;
  Status read_vocabulary(const nlohmann::json& model);
  Status read_merges(const nlohmann::json& merges);
  Status read_bytes(bool byte_fallback);
  void find_whole_words();
  void begin(std::string_view piece, BpeScratch& scratch) const;
  void begin_characters(std::string_view piece, BpeScratch& scratch) const;
  bool add_fallback_bytes(std::string_view character, BpeScratch& scratch) const;
  void merge_short(std::vector<BpeScratch::Symbol>& symbols) const;
  template <class Queue>
  void merge_queued(std::vector<BpeScratch::Symbol>& symbols, Queue& queue) const;

  bool byte_level_ = false;
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;
  bool byte_fallback_ = false;
  TokenId unknown_ = -1;
  std::vector<std::string> tokens_;
  std::vector<std::string> bytes_;       // byte-level only: what each token stands for
  StringTable spelling_;                 // the file's spelling -> id
  StringTable pieces_;                   // what a piece of text is looked up in; bytes_ or the spelling
  std::array<TokenId, 256> byte_ids_{};  // byte-level: the byte's token; else its "<0xXX>"; -1: none
  PairTable ranks_;                      // (left, right) -> rank
  std::vector<TokenId> merged_;          // rank -> the token it makes
  std::vector<bool> whole_;              // encoding the token's own text gives the token
};

}  // namespace weft::text
