#include "text/chat/python_text.h"

#include <utf8proc.h>

#include <algorithm>

namespace weft::text::jinja {
namespace {

bool strips(char32_t c, const std::optional<std::string_view>& characters) {
  if (!characters) return is_python_space(c);
  for (std::size_t at = 0; at < characters->size();) {
    const CodePoint wanted = code_point_at(*characters, at);
    if (wanted.value == c) return true;
    at += wanted.length;
  }
  return false;
}

}  // namespace

bool is_printable(char32_t c) {
  if (c < 0x80) return c >= 0x20 && c < 0x7F;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
  }
}

std::string_view strip_left(std::string_view text, std::optional<std::string_view> characters) {
  while (!text.empty()) {
    const auto [c, length] = code_point_at(text, 0);
    if (!strips(c, characters)) break;
    text.remove_prefix(length);
  }
  return text;
}

std::string_view strip_right(std::string_view text, std::optional<std::string_view> characters) {
  while (!text.empty()) {
    const std::size_t last = previous_character(text, text.size());
    if (!strips(code_point_at(text, last).value, characters)) break;
    text = text.substr(0, last);
  }
  return text;
}

std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator,
                                    std::int64_t limit) {
  std::vector<std::string_view> parts;
  const auto full = [&] { return limit >= 0 && static_cast<std::int64_t>(parts.size()) >= limit; };
  if (separator) {
    for (std::size_t found = text.find(*separator); found != std::string_view::npos && !full();
         found = text.find(*separator)) {
      parts.push_back(text.substr(0, found));
      text.remove_prefix(found + separator->size());
    }
    parts.push_back(text);
    return parts;
  }
  for (text = strip_left(text); !text.empty(); text = strip_left(text)) {
    if (full()) {
      parts.push_back(strip_right(text));
      break;
    }
    std::size_t end = 0;
    while (end < text.size() && !is_python_space(code_point_at(text, end).value))
      end += code_point_at(text, end).length;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

std::vector<std::string_view> split_from_right(std::string_view text, std::optional<std::string_view> separator,
                                               std::int64_t limit) {
  std::vector<std::string_view> parts;
  const auto full = [&] { return limit >= 0 && static_cast<std::int64_t>(parts.size()) >= limit; };
  if (separator) {
    for (std::size_t found = text.rfind(*separator); found != std::string_view::npos && !full();
         found = text.rfind(*separator)) {
      parts.push_back(text.substr(found + separator->size()));
      text = text.substr(0, found);
    }
    parts.push_back(text);
  } else {
    for (text = strip_right(text); !text.empty(); text = strip_right(text)) {
      if (full()) {
        parts.push_back(strip_left(text));
        break;
      }
      std::size_t begin = text.size();
      while (begin > 0 && !is_python_space(code_point_at(text, previous_character(text, begin)).value))
        begin = previous_character(text, begin);
      parts.push_back(text.substr(begin));
      text = text.substr(0, begin);
    }
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length] = code_point_at(text, at);
    const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    std::size_t next = at + length;
    if (ends) {
      if (c == '\r' && next < text.size() && text[next] == '\n') ++next;
      lines.push_back(text.substr(begin, (keep_ends ? next : at) - begin));
      begin = next;
    }
    at = next;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string expand_tabs(std::string_view text, std::size_t size) {
  std::string out;
  std::size_t column = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length] = code_point_at(text, at);
    if (c == U'\t') {
      const std::size_t spaces = size > 0 ? size - column % size : 0;
      out.append(spaces, ' ');
      column += spaces;
    } else {
      out.append(text.substr(at, length));
      column = c == U'\n' || c == U'\r' ? 0 : column + 1;
    }
    at += length;
  }
  return out;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to, std::int64_t limit) {
  std::string out;
  if (from.empty()) {  // between all characters, and at both ends
    for (std::size_t at = 0;;) {
      if (limit != 0) out.append(to);
      if (limit > 0) --limit;
      if (at == text.size()) return out;
      const std::size_t length = code_point_at(text, at).length;
      out.append(text.substr(at, length));
      at += length;
    }
  }
  std::size_t at = 0;
  for (std::size_t found = text.find(from); found != std::string_view::npos && limit != 0;
       found = text.find(from, at), --limit) {
    out.append(text.substr(at, found - at)).append(to);
    at = found + from.size();
  }
  return out.append(text.substr(at));
}

std::size_t character_offset(std::string_view text, std::int64_t index) {
  std::size_t at = 0;
  for (; index > 0 && at < text.size(); --index)
    at += code_point_at(text, at).length;
  return at;
}

Slice resolve_slice(std::optional<std::int64_t> start, std::optional<std::int64_t> stop, std::int64_t step,
                    std::int64_t length) {
  const std::int64_t lowest = step < 0 ? -1 : 0;
  const std::int64_t highest = step < 0 ? length - 1 : length;
  const auto clamp = [&](std::optional<std::int64_t> bound, std::int64_t otherwise) {
    if (!bound) return otherwise;
    return std::clamp(*bound < 0 ? std::max(*bound, -length - 1) + length : *bound, lowest, highest);
  };
  const std::int64_t first = clamp(start, step < 0 ? highest : lowest);
  const std::int64_t last = clamp(stop, step < 0 ? lowest : highest);
  Slice slice{.start = first, .step = step, .count = 0, .stop = last};
  if (step > 0 && first < last) slice.count = (last - first - 1) / step + 1;
  if (step < 0 && first > last) slice.count = step == INT64_MIN ? 1 : (first - last - 1) / -step + 1;
  return slice;
}

std::string slice_text(std::string_view text, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
                       std::int64_t step) {
  const Slice slice = resolve_slice(start, stop, step, static_cast<std::int64_t>(count_characters(text)));
  if (slice.count == 0) return {};
  if (step == 1) {
    const std::size_t begin = character_offset(text, slice.start);
    return std::string(text.substr(begin, character_offset(text.substr(begin), slice.count)));
  }
  const std::u32string characters = to_utf32(text);
  std::string out;
  std::int64_t at = slice.start;
  for (std::int64_t i = 0; i < slice.count; ++i) {
    append_utf8(out, characters[static_cast<std::size_t>(at)]);
    if (i + 1 < slice.count) at += step;
  }
  return out;
}

}  // namespace weft::text::jinja
