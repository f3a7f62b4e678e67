// Unicode normalization forms (UAX #15) and case, in time linear in the text up to sorting runs of marks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weft::text {

enum class UnicodeForm { nfc, nfd, nfkc, nfkd };

// "NFC" and so on.
std::optional<UnicodeForm> unicode_form(std::string_view name);

// All take and give valid UTF-8.
std::string normalize(std::string text, UnicodeForm form);
std::string lowercase(std::string_view text);      // one character to one, but U+0130 to "i̇"
std::string without_marks(std::string_view text);  // drops \p{M}; decompose first, as the files do

}  // namespace weft::text
