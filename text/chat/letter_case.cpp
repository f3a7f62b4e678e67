#include "text/chat/letter_case.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <utf8proc.h>

#include <array>
#include <memory>
#include <string>

#include "text/utf8.h"

namespace weft::text::jinja {
namespace {

constexpr char32_t sharp_s = 0xDF;
constexpr char32_t capital_i_with_dot = 0x130;
constexpr char32_t apostrophe_n = 0x149;
constexpr char32_t iota_below = 0x345;
constexpr char32_t capital_sigma = 0x3A3;
constexpr char32_t final_sigma = 0x3C2;
constexpr char32_t iota = 0x3B9;

// A property of characters that PCRE2 has and utf8proc lacks. Kept for those of two bytes, looked up for others.
class Property {
 public:
  explicit Property(const char* name) {
    const std::string pattern = std::string("\\p{") + name + "}";
    int error = 0;
    PCRE2_SIZE where = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_ANCHORED,
                              &error, &where, nullptr));
    for (char32_t c = 0; c < kept_.size(); ++c)
      kept_[c] = matches(c);
  }
  bool of(char32_t c) const { return c < kept_.size() ? kept_[c] : matches(c); }

 private:
  bool matches(char32_t c) const {
    std::string text;
    append_utf8(text, c);
    const std::unique_ptr<pcre2_match_data, FreeMatch> match(pcre2_match_data_create(1, nullptr));
    return code_ != nullptr && match != nullptr &&
           pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0, match.get(),
                       nullptr) > 0;
  }

  struct FreeCode {
    void operator()(pcre2_code* code) const noexcept { pcre2_code_free(code); }
  };
  struct FreeMatch {
    void operator()(pcre2_match_data* match) const noexcept { pcre2_match_data_free(match); }
  };
  std::unique_ptr<pcre2_code, FreeCode> code_;
  std::array<bool, 0x800> kept_{};
};

bool is_ascii_upper(char32_t c) { return c >= 'A' && c <= 'Z'; }
bool is_ascii_lower(char32_t c) { return c >= 'a' && c <= 'z'; }

bool has_upper(char32_t c) {
  static const Property property("Uppercase");
  return property.of(c);
}
bool has_lower(char32_t c) {
  static const Property property("Lowercase");
  return property.of(c);
}
bool is_cased(char32_t c) {
  static const Property property("Cased");
  return property.of(c);
}
bool is_case_ignorable(char32_t c) {
  static const Property property("Case_Ignorable");
  return property.of(c);
}

utf8proc_category_t category_of(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }
bool is_titlecase(char32_t c) { return category_of(c) == UTF8PROC_CATEGORY_LT; }
char32_t simple_upper(char32_t c) { return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))); }
char32_t simple_lower(char32_t c) { return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))); }
char32_t simple_title(char32_t c) { return static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))); }

// A character's full case folding, at most three characters.
struct Folding {
  std::array<utf8proc_int32_t, 8> characters{};
  std::size_t count = 0;
  explicit Folding(char32_t c) {
    int bound_class = 0;
    const auto made =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), characters.data(),
                                static_cast<utf8proc_ssize_t>(characters.size()), UTF8PROC_CASEFOLD, &bound_class);
    count = made > 0 && made <= static_cast<utf8proc_ssize_t>(characters.size()) ? static_cast<std::size_t>(made) : 0;
    if (count == 0) characters[count++] = static_cast<utf8proc_int32_t>(c);
  }
  char32_t operator[](std::size_t i) const { return static_cast<char32_t>(characters[i]); }
};

// utf8proc maps one character to one. Those that become several (SpecialCasing.txt) are the ones whose folding is several: it is
// their lower case spelt out, of which each character has a simple upper case.
void append_upper(std::string& out, char32_t c) {
  if (c < 0x80) return out.push_back(static_cast<char>(is_ascii_lower(c) ? c - 0x20 : c));
  const Folding folding(c);
  if (folding.count == 1 || category_of(c) == UTF8PROC_CATEGORY_LU) return append_utf8(out, simple_upper(c));
  for (std::size_t i = 0; i < folding.count; ++i)
    append_utf8(out, simple_upper(folding[i]));
}

void append_title(std::string& out, char32_t c) {
  if (c < 0x80 || c == apostrophe_n) return append_upper(out, c);
  const Folding folding(c);
  const bool is_capital = category_of(c) == UTF8PROC_CATEGORY_LU || is_titlecase(c);
  const bool has_own = c != sharp_s && simple_title(c) != c;
  if (folding.count == 1 || is_capital || has_own) return append_utf8(out, simple_title(c));
  append_utf8(out, simple_title(folding[0]));
  for (std::size_t i = 1; i < folding.count; ++i)
    append_utf8(out, folding[i] == iota ? iota_below : folding[i]);
}

// Unicode's Final_Sigma: behind a letter, before none; what is case-ignorable between is passed over.
bool ends_word(std::string_view text, std::size_t at, std::size_t length) {
  bool follows = false;
  for (std::size_t before = at; before > 0;) {
    before = previous_character(text, before);
    const char32_t c = code_point_at(text, before).value;
    if (is_case_ignorable(c)) continue;
    follows = is_cased(c);
    break;
  }
  if (!follows) return false;
  for (std::size_t after = at + length; after < text.size();) {
    const CodePoint next = code_point_at(text, after);
    if (!is_case_ignorable(next.value)) return !is_cased(next.value);
    after += next.length;
  }
  return true;
}

void append_lower(std::string& out, char32_t c, std::string_view text, std::size_t at, std::size_t length) {
  if (c < 0x80) return out.push_back(static_cast<char>(is_ascii_upper(c) ? c + 0x20 : c));
  if (c == capital_i_with_dot) return void(out.append("i\xCC\x87"));
  append_utf8(out, c == capital_sigma && ends_word(text, at, length) ? final_sigma : simple_lower(c));
}

// Calls append(out, c, at, length) for each character.
template <class Append>
std::string mapped(std::string_view text, Append append) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length] = code_point_at(text, at);
    append(out, c, at, length);
    at += length;
  }
  return out;
}

template <bool (*Has)(char32_t), bool (*HasOther)(char32_t)>
bool all_have(std::string_view text) {
  bool any = false;
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length] = code_point_at(text, at);
    if (HasOther(c) || (c >= 0x80 && is_titlecase(c))) return false;
    any = any || Has(c);
    at += length;
  }
  return any;
}

}  // namespace

std::string upper(std::string_view text) {
  return mapped(text, [](std::string& out, char32_t c, std::size_t, std::size_t) { append_upper(out, c); });
}

std::string lower(std::string_view text) {
  return mapped(text, [&](std::string& out, char32_t c, std::size_t at, std::size_t length) {
    append_lower(out, c, text, at, length);
  });
}

std::string title(std::string_view text) {
  bool in_word = false;
  return mapped(text, [&](std::string& out, char32_t c, std::size_t at, std::size_t length) {
    in_word ? append_lower(out, c, text, at, length) : append_title(out, c);
    in_word = is_cased(c);
  });
}

std::string capitalize(std::string_view text) {
  return mapped(text, [&](std::string& out, char32_t c, std::size_t at, std::size_t length) {
    at == 0 ? append_title(out, c) : append_lower(out, c, text, at, length);
  });
}

std::string swapcase(std::string_view text) {
  return mapped(text, [&](std::string& out, char32_t c, std::size_t at, std::size_t length) {
    if (has_upper(c))
      append_lower(out, c, text, at, length);
    else if (has_lower(c))
      append_upper(out, c);
    else
      append_utf8(out, c);
  });
}

std::string casefold(std::string_view text) {
  return mapped(text, [](std::string& out, char32_t c, std::size_t, std::size_t) {
    const Folding folding(c);
    for (std::size_t i = 0; i < folding.count; ++i)
      append_utf8(out, folding[i]);
  });
}

bool is_upper(std::string_view text) { return all_have<has_upper, has_lower>(text); }
bool is_lower(std::string_view text) { return all_have<has_lower, has_upper>(text); }

bool is_title(std::string_view text) {
  bool any = false;
  bool in_word = false;
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length] = code_point_at(text, at);
    const bool starts = has_upper(c) || (c >= 0x80 && is_titlecase(c));
    const bool continues = !starts && has_lower(c);
    if ((starts && in_word) || (continues && !in_word)) return false;
    in_word = starts || continues;
    any = any || in_word;
    at += length;
  }
  return any;
}

}  // namespace weft::text::jinja
