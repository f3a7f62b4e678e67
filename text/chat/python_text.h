// Python's str, as far as templates use it: strings are UTF-8 here and count in characters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/utf8.h"

namespace weft::text::jinja {

// str.isspace(): White_Space and the four information separators.
inline bool is_python_space(char32_t c) { return is_space(c) || (c >= 0x1C && c <= 0x1F); }

// str.isprintable(): what repr() does not escape.
bool is_printable(char32_t c);

// Without `characters` (default: space) on a side.
std::string_view strip_left(std::string_view text, std::optional<std::string_view> characters = std::nullopt);
std::string_view strip_right(std::string_view text, std::optional<std::string_view> characters = std::nullopt);

// str.split, str.rsplit: by space without a separator. `limit` < 0: all.
std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator,
                                    std::int64_t limit);
std::vector<std::string_view> split_from_right(std::string_view text, std::optional<std::string_view> separator,
                                               std::int64_t limit);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

// str.expandtabs(): spaces up to the next multiple of `size` characters of a line; `size` < 1: none.
std::string expand_tabs(std::string_view text, std::size_t size);

std::string replace(std::string_view text, std::string_view from, std::string_view to, std::int64_t limit);

// The byte where the character number `index` starts; the text's size beyond the end.
std::size_t character_offset(std::string_view text, std::int64_t index);

// Python's slice on `length` items: the indices it picks.
struct Slice {
  std::int64_t start = 0;
  std::int64_t step = 1;
  std::int64_t count = 0;
  std::int64_t stop = 0;  // as slice.indices() gives it: the first that is left out, -1 before the first
};
Slice resolve_slice(std::optional<std::int64_t> start, std::optional<std::int64_t> stop, std::int64_t step,
                    std::int64_t length);
std::string slice_text(std::string_view text, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
                       std::int64_t step);

}  // namespace weft::text::jinja
