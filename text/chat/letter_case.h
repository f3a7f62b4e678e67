// Upper and lower case as Python's str has them: full mappings (one character may become three), a Greek capital sigma by
// what stands around it. Text is valid UTF-8; pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

namespace weft::text::jinja {

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string title(std::string_view text);       // str.title(): each run of letters
std::string capitalize(std::string_view text);  // the first character, the others lower
std::string swapcase(std::string_view text);
std::string casefold(std::string_view text);

// Whether some character has a case, and all that have one have that.
bool is_upper(std::string_view text);
bool is_lower(std::string_view text);
bool is_title(std::string_view text);

}  // namespace weft::text::jinja
