#include "text/tokenizer/bpe.h"

#include <algorithm>
#include <functional>

#include "text/utf8.h"

namespace weft::text {
namespace {

using Symbol = BpeScratch::Symbol;

// Below this many symbols, looking through all pairs for the lowest rank beats keeping a queue of them.
constexpr std::size_t short_piece = 48;
// Up to so many a heap stays in the first cache, and beats a queue with a list a rank.
constexpr std::size_t middling_piece = 1024;

}  // namespace

void Bpe::encode(std::string_view piece, BpeScratch& scratch, std::vector<TokenId>& out) const {
  if (piece.empty()) return;
  const TokenId whole = pieces_.find(piece);
  if (whole >= 0 && (ignore_merges_ || whole_[static_cast<std::size_t>(whole)])) {
    out.push_back(whole);
    return;
  }
  begin(piece, scratch);
  auto& symbols = scratch.symbols;
  if (symbols.size() <= short_piece) {
    merge_short(symbols);
    for (const Symbol& symbol : symbols)
      out.push_back(symbol.id);
    return;
  }
  if (symbols.size() <= middling_piece) {
    merge_queued(symbols, scratch.heap);
  } else {
    scratch.queue.begin(merged_.size());
    merge_queued(symbols, scratch.queue);
  }
  for (std::int32_t at = 0; at >= 0; at = symbols[static_cast<std::size_t>(at)].next)
    out.push_back(symbols[static_cast<std::size_t>(at)].id);
}

void Bpe::begin(std::string_view piece, BpeScratch& scratch) const {
  auto& symbols = scratch.symbols;
  symbols.clear();
  if (!byte_level_) return begin_characters(piece, scratch);
  symbols.reserve(piece.size());
  bool after_unknown = false;
  for (const char c : piece) {
    TokenId id = byte_ids_[static_cast<unsigned char>(c)];
    const bool unknown = id < 0;
    if (unknown) id = unknown_;
    if (id >= 0 && !(unknown && after_unknown && fuse_unknown_)) symbols.push_back({.id = id});
    after_unknown = unknown;
  }
}

void Bpe::begin_characters(std::string_view piece, BpeScratch& scratch) const {
  auto& symbols = scratch.symbols;
  symbols.reserve(piece.size());
  // An unknown waits for the next known character, as in Hugging Face's merge_word: bytes that fall back go
  // before it.
  bool waiting = false;
  const auto release = [&] {
    if (waiting) symbols.push_back({.id = unknown_});
    waiting = false;
  };
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t length = code_point_at(piece, at).length;
    const std::string_view character = piece.substr(at, length);
    at += length;
    if (const TokenId id = pieces_.find(character); id >= 0) {
      release();
      symbols.push_back({.id = id});
    } else if (!add_fallback_bytes(character, scratch) && unknown_ >= 0) {
      if (!fuse_unknown_) release();
      waiting = true;
    }
  }
  release();
}

bool Bpe::add_fallback_bytes(std::string_view character, BpeScratch& scratch) const {
  if (!byte_fallback_) return false;
  for (const char c : character)
    if (byte_ids_[static_cast<unsigned char>(c)] < 0) return false;
  for (const char c : character)
    scratch.symbols.push_back({.id = byte_ids_[static_cast<unsigned char>(c)]});
  return true;
}

void Bpe::merge_short(std::vector<Symbol>& symbols) const {
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
    symbols[i].rank = ranks_.find(symbols[i].id, symbols[i + 1].id);
  while (symbols.size() > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < symbols.size(); ++i)
      if (symbols[i].rank < symbols[best].rank) best = i;
    if (symbols[best].rank == PairTable::none) return;
    symbols[best].id = merged_[symbols[best].rank];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    symbols[best].rank =
        best + 1 < symbols.size() ? ranks_.find(symbols[best].id, symbols[best + 1].id) : PairTable::none;
    if (best > 0) symbols[best - 1].rank = ranks_.find(symbols[best - 1].id, symbols[best].id);
  }
}

// A queue of (rank, position); an entry whose rank is no longer that of the symbol at its position is stale.
template <class Queue>
void Bpe::merge_queued(std::vector<Symbol>& symbols, Queue& queue) const {
  const auto symbol = [&](std::int32_t at) -> Symbol& { return symbols[static_cast<std::size_t>(at)]; };
  const auto push = [&](std::int32_t at) {
    Symbol& left = symbol(at);
    left.rank = left.next < 0 ? PairTable::none : ranks_.find(left.id, symbol(left.next).id);
    if (left.rank != PairTable::none) queue.push({left.rank, static_cast<std::uint32_t>(at)});
  };
  const auto count = static_cast<std::int32_t>(symbols.size());
  for (std::int32_t i = 0; i < count; ++i) {
    symbol(i).previous = i - 1;
    symbol(i).next = i + 1 < count ? i + 1 : -1;
  }
  for (std::int32_t i = 0; i < count; ++i)
    push(i);
  while (const auto least = queue.pop()) {
    // Symbols of a long piece do not fit a cache, and those of the next merges are known.
    if (const auto later = queue.ahead(16)) __builtin_prefetch(&symbols[*later]);
    const auto at = static_cast<std::int32_t>(least->position);
    Symbol& left = symbol(at);
    if (left.rank != least->rank) continue;
    Symbol& right = symbol(left.next);
    left.id = merged_[left.rank];
    right.rank = PairTable::none;
    left.next = right.next;
    if (left.next >= 0) symbol(left.next).previous = at;
    push(at);
    if (left.previous >= 0) push(left.previous);
  }
}

void Bpe::find_whole_words() {
  whole_.assign(tokens_.size(), false);
  BpeScratch scratch;
  std::vector<TokenId> ids;
  const auto& texts = byte_level_ ? bytes_ : tokens_;
  for (std::size_t id = 0; id < texts.size(); ++id) {
    if (texts[id].empty() || pieces_.find(texts[id]) != static_cast<TokenId>(id)) continue;
    if (texts[id].size() > 256) continue;  // a shortcut for words; long tokens take the long way
    ids.clear();
    encode(texts[id], scratch, ids);
    whole_[id] = ids.size() == 1 && ids[0] == static_cast<TokenId>(id);
  }
}

}  // namespace weft::text
