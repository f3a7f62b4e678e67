// Template text -> tokens, as Jinja's lexer with trim_blocks and lstrip_blocks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::text::jinja {

enum class TokenKind : std::uint8_t {
  data,
  expression_begin,  // {{
  expression_end,
  block_begin,  // {%
  block_end,
  name,
  string,
  integer,
  real,
  symbol,
  end,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text{};  // of a string: unescaped; of a symbol: "==" and so on
  std::int64_t integer = 0;
  double real = 0;
  std::uint32_t offset = 0;  // bytes into the normalized source
};

// With every line end as "\n" and the last one dropped, as Jinja reads a template.
std::string normalize_source(std::string_view source);

// Throws Fault with a message that has no position; `failed_at` then is where.
std::vector<Token> tokenize(std::string_view normalized, std::uint32_t& failed_at);

}  // namespace weft::text::jinja
