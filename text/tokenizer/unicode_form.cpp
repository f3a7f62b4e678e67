#include "text/tokenizer/unicode_form.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "text/utf8.h"

namespace weft::text {
namespace {

using CodePoints = std::vector<utf8proc_int32_t>;

// Below U+0300 nothing decomposes that NFC does not put together again, and nothing combines.
bool is_nfc_already(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0xCC; });
}

CodePoints decompose(std::string_view text, bool compatibility) {
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0));
  CodePoints out;
  out.reserve(text.size());
  utf8proc_int32_t parts[32];  // the longest full decomposition in Unicode is 18
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    at += c.length;
    int boundary = 0;
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c.value), parts, 32, options, &boundary);
    if (count < 0 || count > 32)
      out.push_back(static_cast<utf8proc_int32_t>(c.value));
    else
      out.insert(out.end(), parts, parts + count);
  }
  return out;
}

// Canonical ordering. utf8proc's own is an insertion sort: a megabyte of marks in falling order would take
// hours.
void order_marks(CodePoints& text) {
  const auto combining_class = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  for (auto at = text.begin(); at != text.end();) {
    if (combining_class(*at) == 0) {
      ++at;
      continue;
    }
    const auto end = std::find_if(at, text.end(), [&](utf8proc_int32_t c) { return combining_class(c) == 0; });
    std::stable_sort(at, end,
                     [&](utf8proc_int32_t a, utf8proc_int32_t b) { return combining_class(a) < combining_class(b); });
    at = end;
  }
}

}  // namespace

std::optional<UnicodeForm> unicode_form(std::string_view name) {
  for (const auto& [known, form] : {std::pair("NFC", UnicodeForm::nfc), std::pair("NFD", UnicodeForm::nfd),
                                    std::pair("NFKC", UnicodeForm::nfkc), std::pair("NFKD", UnicodeForm::nfkd)})
    if (name == known) return form;
  return std::nullopt;
}

std::string normalize(std::string text, UnicodeForm form) {
  if (form == UnicodeForm::nfc && is_nfc_already(text)) return text;
  CodePoints points = decompose(text, form == UnicodeForm::nfkc || form == UnicodeForm::nfkd);
  order_marks(points);
  if (form == UnicodeForm::nfc || form == UnicodeForm::nfkc) {
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    const auto length = utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()), options);
    points.resize(static_cast<std::size_t>(std::max<utf8proc_ssize_t>(length, 0)));
  }
  std::string out;
  out.reserve(text.size());
  for (const auto c : points)
    append_utf8(out, static_cast<char32_t>(c));
  return out;
}

std::string lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length] = code_point_at(text, at);
    at += length;
    if (c == 0x130)
      out.append("i\xCC\x87");
    else
      append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
  return out;
}

std::string without_marks(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length] = code_point_at(text, at);
    if (!is_mark(c)) out.append(text.substr(at, length));
    at += length;
  }
  return out;
}

}  // namespace weft::text
