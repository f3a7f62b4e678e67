#include "text/tokenizer/byte_level.h"

#include <array>

#include "text/utf8.h"

namespace weft::text {
namespace {

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<int, 0x180> byte{};  // -1: not of the alphabet

  Alphabet() {
    byte.fill(-1);
    char32_t next = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      character[b] = printable ? static_cast<char32_t>(b) : next++;
      byte[character[b]] = static_cast<int>(b);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

std::optional<std::string> byte_level_bytes(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (std::size_t at = 0; at < token.size();) {
    const CodePoint c = code_point_at(token, at);
    if (c.value >= alphabet().byte.size() || alphabet().byte[c.value] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(alphabet().byte[c.value]));
    at += c.length;
  }
  return bytes;
}

std::string byte_level_character(unsigned char byte) {
  std::string out;
  append_utf8(out, alphabet().character[byte]);
  return out;
}

}  // namespace weft::text
