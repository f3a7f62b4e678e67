#include "text/chat/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "text/chat/fault.h"
#include "text/chat/python_text.h"
#include "text/utf8.h"

namespace weft::text::jinja {
namespace {

constexpr std::array<std::string_view, 26> symbols = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                      "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                      ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

bool starts_name(char32_t c) { return c == '_' || (is_word(c) && !is_number(c)); }

class Lexer {
 public:
  Lexer(std::string_view source, std::uint32_t& at_failure) : source_(source), failed_at_(at_failure) {}

  std::vector<Token> run() {
    while (at_ < source_.size())
      text();
    add(TokenKind::end, source_.size());
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void refuse(std::size_t at, const std::string& message) {
    failed_at_ = static_cast<std::uint32_t>(std::min(at, source_.size()));
    throw fault("{}", message);
  }

  Token& add(TokenKind kind, std::size_t offset, std::string value = {}) {
    tokens_.push_back({.kind = kind, .text = std::move(value), .offset = static_cast<std::uint32_t>(offset)});
    return tokens_.back();
  }

  bool here(std::string_view wanted) const { return source_.substr(at_).starts_with(wanted); }

  std::size_t skip_space(std::size_t at) const {
    while (at < source_.size()) {
      const auto [c, length] = code_point_at(source_, at);
      if (!is_python_space(c)) break;
      at += length;
    }
    return at;
  }

  // Plain text up to the next tag, and the tag.
  void text() {
    const std::size_t begin = at_;
    std::size_t tag = begin;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= source_.size()) {
        add_data(begin, source_.substr(begin));
        at_ = source_.size();
        return;
      }
      const char second = source_[tag + 1];
      if (second == '{' || second == '%' || second == '#') break;
      ++tag;
    }
    at_ = tag + 2;
    const char sign = at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+') ? source_[at_] : '\0';
    if (sign != '\0') ++at_;
    const char kind = source_[tag + 1];
    add_data(begin, before_tag(source_.substr(begin, tag - begin), sign, kind != '{'));
    if (kind == '#')
      comment(tag);
    else if (kind == '{')
      inside(TokenKind::expression_begin, TokenKind::expression_end, tag);
    else if (!raw(tag))
      inside(TokenKind::block_begin, TokenKind::block_end, tag);
    line_starting_ = at_ > 0 && source_[at_ - 1] == '\n';
  }

  void add_data(std::size_t offset, std::string_view data) {
    if (!data.empty()) add(TokenKind::data, offset, std::string(data));
  }

  // "{%-" takes all space before it; "{%" alone the blanks from the start of its line (lstrip_blocks).
  std::string_view before_tag(std::string_view data, char sign, bool lstrip) const {
    if (sign == '-') return strip_right(data);
    if (sign == '+' || !lstrip) return data;
    const std::size_t newline = data.rfind('\n');
    const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    if (line == 0 && !line_starting_) return data;
    return strip_right(data.substr(line)).empty() ? data.substr(0, line) : data;
  }

  // Behind the end of a tag: "-%}" takes all space after it, "%}" one newline (trim_blocks).
  void after_tag(char sign, bool trim) {
    if (sign == '-')
      at_ = skip_space(at_);
    else if (sign == '\0' && trim && at_ < source_.size() && source_[at_] == '\n')
      ++at_;
  }

  // Consumes "-%}", "+%}" or "%}" if it is here.
  bool closes(std::string_view end, bool plus_too, bool trim) {
    for (const char sign : {'-', '+', '\0'}) {
      if (sign == '+' && !plus_too) continue;
      const std::size_t length = sign == '\0' ? 0 : 1;
      if ((length == 1 && (at_ >= source_.size() || source_[at_] != sign)) ||
          !source_.substr(std::min(at_ + length, source_.size())).starts_with(end))
        continue;
      at_ += length + end.size();
      after_tag(sign, trim);
      return true;
    }
    return false;
  }

  void comment(std::size_t tag) {
    const std::size_t end = source_.find("#}", at_);
    if (end == std::string_view::npos) refuse(tag, "a comment that never ends; expected '#}'");
    const char sign = end > at_ && (source_[end - 1] == '-' || source_[end - 1] == '+') ? source_[end - 1] : '\0';
    at_ = end + 2;
    after_tag(sign, true);
  }

  // {% raw %} ... {% endraw %}; false, with nothing consumed, if this block is another.
  bool raw(std::size_t tag) {
    const std::size_t start = at_;
    at_ = skip_space(at_);
    if (!here("raw")) return at_ = start, false;
    at_ = skip_space(at_ + 3);
    if (!closes("%}", false, false)) return at_ = start, false;
    const std::size_t body = at_;
    for (std::size_t end = source_.find("{%", body); end != std::string_view::npos; end = source_.find("{%", end + 1)) {
      at_ = end + 2;
      const char sign = at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+') ? source_[at_] : '\0';
      at_ = skip_space(at_ + (sign == '\0' ? 0 : 1));
      if (!here("endraw")) continue;
      at_ = skip_space(at_ + 6);
      if (!closes("%}", true, true)) continue;
      line_starting_ = body > 0 && source_[body - 1] == '\n';
      add_data(body, before_tag(source_.substr(body, end - body), sign, true));
      return true;
    }
    refuse(tag, "a raw block that never ends; expected '{% endraw %}'");
  }

  void inside(TokenKind begin, TokenKind end, std::size_t tag) {
    add(begin, tag);
    const bool block = end == TokenKind::block_end;
    std::string open;  // brackets; a tag cannot end within them
    while (true) {
      at_ = skip_space(at_);
      const std::size_t start = at_;
      if (at_ >= source_.size())
        refuse(tag, block ? "a block that never ends; expected '%}'" : "an expression that never ends; expected '}}'");
      if (open.empty() && closes(block ? "%}" : "}}", block, block)) {
        add(end, start);
        return;
      }
      token(open);
    }
  }

  void token(std::string& open) {
    const char c = source_[at_];
    if (c >= '0' && c <= '9') return number();
    if (c == '"' || c == '\'') return string(c);
    if (starts_name(code_point_at(source_, at_).value)) return name();
    for (const std::string_view symbol : symbols) {
      if (!here(symbol)) continue;
      add(TokenKind::symbol, at_, std::string(symbol));
      if (c == '(' || c == '[' || c == '{') open.push_back(c);
      if (c == ')' || c == ']' || c == '}') {
        const char wanted = c == ')' ? '(' : c == ']' ? '[' : '{';
        if (open.empty() || open.back() != wanted) refuse(at_, fmt::format("unexpected '{}'", c));
        open.pop_back();
      }
      at_ += symbol.size();
      return;
    }
    refuse(at_, fmt::format("unexpected '{}'", source_.substr(at_, code_point_at(source_, at_).length)));
  }

  void name() {
    const std::size_t start = at_;
    while (at_ < source_.size()) {
      const auto [c, length] = code_point_at(source_, at_);
      if (!is_word(c)) break;
      at_ += length;
    }
    add(TokenKind::name, start, std::string(source_.substr(start, at_ - start)));
  }

  static bool is_digit(char c, int base) {
    const int value = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : base;
    return value < base;
  }
  bool digit_at(std::size_t at, int base = 10) const { return at < source_.size() && is_digit(source_[at], base); }

  // Digits, single underscores between them; with `leading`, one before the first.
  void digits(std::string& out, int base, bool leading = false) {
    while (true) {
      const bool separates = at_ < source_.size() && source_[at_] == '_' && (leading || !out.empty());
      if (!digit_at(at_ + (separates ? 1 : 0), base)) return;
      at_ += separates ? 1 : 0;
      out.push_back(source_[at_++]);
    }
  }

  // 0b101, 0o17, 0xff: the base, with at_ behind the mark; 10 where there is none.
  int marked_base() {
    if (source_[at_] != '0' || at_ + 2 >= source_.size()) return 10;
    const char mark = static_cast<char>(source_[at_ + 1] | 0x20);
    const int base = mark == 'b' ? 2 : mark == 'o' ? 8 : mark == 'x' ? 16 : 10;
    if (base == 10 || !(digit_at(at_ + 2, base) || (source_[at_ + 2] == '_' && digit_at(at_ + 3, base)))) return 10;
    at_ += 2;
    return base;
  }

  // Fraction and exponent of a real number behind its whole part; false, with nothing consumed, where there is neither.
  bool fraction_and_exponent(std::string& out) {
    const std::size_t start = at_;
    if (at_ < source_.size() && source_[at_] == '.' && digit_at(at_ + 1)) {
      ++at_;
      std::string part;
      digits(part, 10);
      out += "." + part;
    }
    if (at_ < source_.size() && (source_[at_] == 'e' || source_[at_] == 'E')) {
      const bool sign = at_ + 1 < source_.size() && (source_[at_ + 1] == '+' || source_[at_ + 1] == '-');
      if (digit_at(at_ + (sign ? 2 : 1))) {
        out += sign && source_[at_ + 1] == '-' ? "e-" : "e";
        at_ += sign ? 2 : 1;
        std::string part;
        digits(part, 10);
        out += part;
      }
    }
    return at_ != start;
  }

  void number() {
    const std::size_t start = at_;
    std::string seen;
    const int base = marked_base();
    digits(seen, base, base != 10);
    // Behind a dot these are indices: "a.0.1".
    const bool may_be_real = base == 10 && (start == 0 || source_[start - 1] != '.');
    const bool real = may_be_real && fraction_and_exponent(seen);
    if (!real && base == 10 && seen.size() > 1 && seen.front() == '0' &&
        seen.find_first_not_of('0') != std::string::npos)
      refuse(start, fmt::format("the number {} begins with 0, expected none of it, or 0o before an octal one", seen));
    Token& made = add(real ? TokenKind::real : TokenKind::integer, start);
    const char* const first = seen.data();
    const char* const last = first + seen.size();
    const auto parsed =
        real ? std::from_chars(first, last, made.real) : std::from_chars(first, last, made.integer, base);
    if (parsed.ec != std::errc() || parsed.ptr != last)
      refuse(start, real ? "a number that a float of 64 bits cannot hold" : "a whole number beyond 64 bits");
  }

  void string(char quote) {
    const std::size_t start = at_++;
    std::string value;
    while (at_ < source_.size() && source_[at_] != quote) {
      if (source_[at_] == '\\' && at_ + 1 < source_.size())
        escape(value);
      else
        value.push_back(source_[at_++]);
    }
    if (at_ >= source_.size()) refuse(start, "a string that never ends");
    ++at_;
    add(TokenKind::string, start, std::move(value));
  }

  // Python's escapes; an unknown one stays as it is.
  void escape(std::string& value) {
    const char c = source_[at_ + 1];
    at_ += 2;
    static constexpr std::string_view letters = "abfnrtv\\'\"";
    static constexpr std::string_view meanings = "\a\b\f\n\r\t\v\\'\"";
    if (const std::size_t found = letters.find(c); found != std::string_view::npos) {
      value.push_back(meanings[found]);
    } else if (c == '\n') {
      return;
    } else if (c == 'x' || c == 'u' || c == 'U') {
      coded(value, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16);
    } else if (c >= '0' && c <= '7') {
      --at_;
      std::size_t count = 1;
      while (count < 3 && at_ + count < source_.size() && source_[at_ + count] >= '0' && source_[at_ + count] <= '7')
        ++count;
      coded(value, count, 8);
    } else {
      value.push_back('\\');
      value.push_back(c);
    }
  }

  void coded(std::string& value, std::size_t count, int base) {
    const std::string_view digits_here = source_.substr(at_, count);
    std::uint32_t code = 0;
    const auto parsed = std::from_chars(digits_here.data(), digits_here.data() + digits_here.size(), code, base);
    if (digits_here.size() != count || parsed.ec != std::errc() || parsed.ptr != digits_here.data() + count)
      refuse(at_, "an escape that is cut short in a string");
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) refuse(at_, "an escape that is no Unicode character");
    append_utf8(value, code);
    at_ += count;
  }

  std::string_view source_;
  std::uint32_t& failed_at_;
  std::size_t at_ = 0;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::string normalize_source(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out.push_back(source[i]);
      continue;
    }
    out.push_back('\n');
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

std::vector<Token> tokenize(std::string_view normalized, std::uint32_t& failed_at) {
  return Lexer(normalized, failed_at).run();
}

}  // namespace weft::text::jinja
