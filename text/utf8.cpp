#include "text/utf8.h"

#include <utf8proc.h>

#include <array>
#include <vector>

namespace weft::text {
namespace {

constexpr unsigned letter = 1, number = 2, space = 4, mark = 8, punctuation = 16, word = 32;

bool white_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

// What \w has beside whole categories: Join_Control, and the symbols that are Alphabetic (letters in circles and squares).
bool joins_or_circles(char32_t c) {
  return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

std::uint8_t classify(char32_t c) {
  unsigned bits = white_space(c) ? space : joins_or_circles(c) ? word : 0u;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: bits |= letter | word; break;
    case UTF8PROC_CATEGORY_ND: bits |= number | word; break;
    case UTF8PROC_CATEGORY_NL: bits |= number | word; break;
    case UTF8PROC_CATEGORY_NO: bits |= number; break;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: bits |= mark | word; break;
    case UTF8PROC_CATEGORY_PC: bits |= punctuation | word; break;
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO: bits |= punctuation; break;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
      if (c < 0x80) bits |= punctuation;
      break;
    default: break;
  }
  return static_cast<std::uint8_t>(bits);
}

// utf8proc's two-stage lookup and switch cost more than the text itself; nearly all text is in the first
// plane.
bool has_class(char32_t c, unsigned bits) noexcept {
  static const std::vector<std::uint8_t> first_plane = [] {
    std::vector<std::uint8_t> table(0x10000);
    for (char32_t i = 0; i < table.size(); ++i)
      table[i] = classify(i);
    return table;
  }();
  return ((c < first_plane.size() ? first_plane[c] : classify(c)) & bits) != 0;
}

bool continues(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

}  // namespace

Utf8Prefix utf8_prefix(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  if (first < 0x80) return {1, true, false};
  const std::size_t wanted = first >= 0xC2 && first < 0xE0   ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
  if (wanted == 0) return {1, false, false};
  if (at + 1 >= text.size()) return {1, false, true};
  // Table 3-7 of the Unicode standard: the second byte's range depends on the first.
  const unsigned second = byte(at + 1);
  const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (second < low || second > high) return {1, false, false};
  std::size_t have = 2;
  while (have < wanted && continues(text, at + have))
    ++have;
  if (have == wanted) return {have, true, false};
  return {have, false, at + have >= text.size()};
}

std::optional<std::size_t> first_invalid_utf8(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const Utf8Prefix prefix = utf8_prefix(text, at);
    if (!prefix.complete) return at;
    at += prefix.length;
  }
  return std::nullopt;
}

std::string with_replacements(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Prefix prefix = utf8_prefix(text, at);
    out.append(prefix.complete ? text.substr(at, prefix.length) : replacement_character);
    at += prefix.complete ? prefix.length : 1;
  }
  return out;
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::u32string to_utf32(std::string_view valid) {
  std::u32string out;
  out.reserve(valid.size());
  for (std::size_t at = 0; at < valid.size();) {
    const CodePoint c = code_point_at(valid, at);
    out.push_back(c.value);
    at += c.length;
  }
  return out;
}

std::string to_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text)
    append_utf8(out, c);
  return out;
}

std::size_t count_characters(std::string_view valid) noexcept {
  std::size_t count = 0;
  for (const char c : valid)
    count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

bool is_letter(char32_t c) noexcept { return has_class(c, letter); }
bool is_number(char32_t c) noexcept { return has_class(c, number); }
bool is_space(char32_t c) noexcept { return has_class(c, space); }
bool is_mark(char32_t c) noexcept { return has_class(c, mark); }
bool is_punctuation(char32_t c) noexcept { return has_class(c, punctuation); }
bool is_word(char32_t c) noexcept { return has_class(c, word); }

}  // namespace weft::text
