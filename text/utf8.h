// UTF-8 and the few Unicode questions that tokenizers and templates ask. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::text {

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;  // bytes it takes
};

// What stands at the byte `at`; `text` must be valid UTF-8 and `at` the start of a character.
inline CodePoint code_point_at(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {((first & 0x1F) << 6) | (byte(1) & 0x3Fu), 2};
  if (first < 0xF0) return {((first & 0x0F) << 12) | ((byte(1) & 0x3Fu) << 6) | (byte(2) & 0x3Fu), 3};
  return {((first & 0x07) << 18) | ((byte(1) & 0x3Fu) << 12) | ((byte(2) & 0x3Fu) << 6) | (byte(3) & 0x3Fu), 4};
}

// Where the character that ends just before `end` begins (`end` > 0, valid UTF-8).
inline std::size_t previous_character(std::string_view text, std::size_t end) noexcept {
  do
    --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

// What the bytes at `at` are: a whole character, or a start that more bytes could complete, or neither.
struct Utf8Prefix {
  std::size_t length = 0;  // of the character; else of the longest start of one (at least 1)
  bool complete = false;
  bool could_continue = false;  // the text ends within a character
};
Utf8Prefix utf8_prefix(std::string_view text, std::size_t at) noexcept;

// The byte offset of the first byte that is not valid UTF-8 (overlong forms and surrogates are not).
std::optional<std::size_t> first_invalid_utf8(std::string_view text) noexcept;

void append_utf8(std::string& out, char32_t code_point);
std::u32string to_utf32(std::string_view valid);
std::string to_utf8(std::u32string_view text);
std::size_t count_characters(std::string_view valid) noexcept;

inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

// For messages: `text` with U+FFFD for every byte that is no part of a character.
std::string with_replacements(std::string_view text);

// Unicode general categories as regular expressions name them, and White_Space.
bool is_letter(char32_t c) noexcept;       // \p{L}
bool is_number(char32_t c) noexcept;       // \p{N}
bool is_space(char32_t c) noexcept;        // \s
bool is_mark(char32_t c) noexcept;         // \p{M}
bool is_punctuation(char32_t c) noexcept;  // \p{P}, and ASCII's symbols
bool is_word(char32_t c) noexcept;         // \w as UTS 18 has it: Alphabetic, \p{M}, \p{Nd}, \p{Pc}, Join_Control

}  // namespace weft::text
