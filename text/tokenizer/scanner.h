// The pre-tokenizer expressions that most byte-level vocabularies use, as scanners by hand: one pass, no
// backtracking.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace weft::text {

// A stretch of a text, in bytes.
struct Range {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

enum class Expression {
  gpt2,         // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
  one_digit,    // Qwen 2: (?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|
                // ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
  three_digits  // Llama 3: the same with \p{N}{1,3}
};

// Which scanner is this expression, if any.
std::optional<Expression> known_expression(std::string_view regex);

// The matches of the expression in `text` (valid UTF-8) within `range`, in order. They leave nothing out. As
// a regular expression engine that is handed text[range] alone, it sees nothing outside.
void scan(Expression expression, std::string_view text, Range range, std::vector<Range>& out);

}  // namespace weft::text
