// The alphabet of byte-level vocabularies (GPT-2's bytes_to_unicode): every byte has one printable character,
// those that have none of their own take U+0100 and up. "Ġthe" in a vocabulary is " the" in bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weft::text {

// The bytes that `token` stands for; nothing where a character is not of the alphabet. `token` must be valid
// UTF-8.
std::optional<std::string> byte_level_bytes(std::string_view token);

// The character of a byte, as UTF-8.
std::string byte_level_character(unsigned char byte);

}  // namespace weft::text
