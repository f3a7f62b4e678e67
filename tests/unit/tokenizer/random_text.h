// Random texts that are the same everywhere.
#pragma once

#include <cstdint>
#include <string>

#include "text/utf8.h"

namespace weft::text {

struct Random {
  std::uint64_t state = 3;
  std::size_t below(std::size_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>(state >> 33) % limit;
  }
};

// Three of four are what pre-tokenizers look at: spaces, contractions, digits, marks.
inline char32_t random_character(Random& random) {
  static constexpr std::u32string_view common =
      U"  \n\r\t'sStTreLlveé0123,.!-_<|>日本語\u0301\u00A0\u3000\u2581🙂";
  if (random.below(4) != 0) return common[random.below(common.size())];
  const auto c = static_cast<char32_t>(random.below(0x110000));
  return c >= 0xD800 && c < 0xE000 ? U'x' : c;
}

inline std::string random_text(Random& random, std::size_t most_characters) {
  std::u32string characters;
  for (std::size_t k = random.below(most_characters); k > 0; --k)
    characters.push_back(random_character(random));
  return to_utf8(characters);
}

}  // namespace weft::text
