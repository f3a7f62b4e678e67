#include "text/tokenizer/added_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "text/tokenizer/json_fields.h"
#include "text/utf8.h"

namespace weft::text {
namespace {

using nlohmann::json;

// Looking for a token costs its length at each place of the text in the worst case, so a file may not make it
// long.
constexpr std::size_t longest_token = 1024;
// Each byte may become a node of some 40 bytes.
constexpr std::size_t most_bytes_together = 4u << 20;

Result<AddedToken> read_added_token(const json& entry) {
  if (!entry.is_object())
    return fail(ErrorCode::invalid_argument, fmt::format("found {}, expected an object", kind_of(entry.type())));
  AddedToken token;
  const auto id = entry.find("id");
  if (id == entry.end()) return fail(ErrorCode::invalid_argument, "no 'id'");
  WEFT_ASSIGN(number, token_id(*id));
  token.id = number;
  WEFT_ASSIGN(content, string_field(entry, "content", ""));
  if (content.size() > longest_token)
    return fail(ErrorCode::invalid_argument,
                fmt::format("content of {} bytes, expected at most {}", content.size(), longest_token));
  token.content = std::move(content);
  WEFT_ASSIGN(special, bool_field(entry, "special", false));
  token.special = special;
  token.normalized = !special;
  for (const auto& [key, place] : {std::pair("single_word", &token.single_word), std::pair("lstrip", &token.lstrip),
                                   std::pair("rstrip", &token.rstrip), std::pair("normalized", &token.normalized)}) {
    WEFT_ASSIGN(value, bool_field(entry, key, *place));
    *place = value;
  }
  return token;
}

}  // namespace

Result<std::vector<AddedToken>> read_added_tokens(const json& list) {
  if (list.is_null()) return std::vector<AddedToken>{};
  if (!list.is_array())
    return fail(ErrorCode::invalid_argument, fmt::format("found {}, expected an array", kind_of(list.type())));
  std::vector<AddedToken> tokens;
  std::set<TokenId> seen;
  std::size_t bytes = 0;
  for (const json& entry : list) {
    WEFT_ASSIGN_CONTEXT(token, read_added_token(entry), fmt::format("entry {}", tokens.size()));
    if (!seen.insert(token.id).second)
      return fail(ErrorCode::invalid_argument, fmt::format("id {} is given twice", token.id));
    bytes += token.content.size();
    if (bytes > most_bytes_together)
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("more than {} bytes of content together", most_bytes_together));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

void TokenFinder::add(std::string_view pattern, const AddedToken& token) {
  if (pattern.empty()) return;
  begins_[static_cast<unsigned char>(pattern.front())] = true;
  std::size_t at = 0;
  for (const char c : pattern) {
    const auto byte = static_cast<unsigned char>(c);
    if (const Node* existing = child(nodes_[at], byte)) {
      at = static_cast<std::size_t>(existing - nodes_.data());
      continue;
    }
    nodes_[at].next.emplace_back(byte, static_cast<std::uint32_t>(nodes_.size()));
    std::sort(nodes_[at].next.begin(), nodes_[at].next.end());
    at = nodes_.size();
    nodes_.emplace_back();
  }
  nodes_[at].token = static_cast<std::int32_t>(tokens_.size());
  tokens_.push_back(token);
}

const TokenFinder::Node* TokenFinder::child(const Node& node, unsigned char byte) const noexcept {
  const auto found = std::lower_bound(node.next.begin(), node.next.end(), byte,
                                      [](const auto& edge, unsigned char wanted) { return edge.first < wanted; });
  return found != node.next.end() && found->first == byte ? &nodes_[found->second] : nullptr;
}

std::pair<std::int32_t, std::size_t> TokenFinder::longest_at(std::string_view text, std::size_t at) const noexcept {
  std::pair<std::int32_t, std::size_t> best{-1, at};
  const Node* node = &nodes_.front();
  for (std::size_t end = at; end < text.size();) {
    node = child(*node, static_cast<unsigned char>(text[end]));
    if (node == nullptr) break;
    ++end;
    if (node->token >= 0) best = {node->token, end};
  }
  return best;
}

void TokenFinder::split(std::string_view text, std::vector<Section>& out) const {
  const auto section = [&](std::size_t begin, std::size_t end, TokenId token) {
    if (begin < end) out.push_back({{static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)}, token});
  };
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (!begins_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    const auto [index, match_end] = longest_at(text, at);
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(index)];
    std::size_t begin = at;
    std::size_t end = match_end;
    at = match_end;
    if (token.single_word) {
      const bool word_before = begin > 0 && is_word(code_point_at(text, previous_character(text, begin)).value);
      const bool word_after = end < text.size() && is_word(code_point_at(text, end).value);
      if (word_before || word_after) continue;
    }
    while (token.lstrip && begin > done && is_space(code_point_at(text, previous_character(text, begin)).value))
      begin = previous_character(text, begin);
    while (token.rstrip && end < text.size() && is_space(code_point_at(text, end).value))
      end += code_point_at(text, end).length;
    begin = std::max(begin, done);  // the token before may have swallowed the space that this one begins with
    section(done, begin, -1);
    section(begin, end, token.id);
    done = std::max(done, end);
  }
  section(done, text.size(), -1);
}

}  // namespace weft::text
