#include "text/tokenizer/scanner.h"

#include <utility>

#include "text/utf8.h"

namespace weft::text {
namespace {

constexpr std::string_view gpt2_regex = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view one_digit_regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view three_digits_regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

bool is_newline(char32_t c) { return c == '\r' || c == '\n'; }
bool is_other(char32_t c) { return !is_space(c) && !is_letter(c) && !is_number(c); }

// Each method that begins with a condition matches one alternative at `at` and returns its end, or `at` for
// no match.
class Scanner {
 public:
  Scanner(std::string_view text, bool ignore_case) : text_(text), ignore_case_(ignore_case) {}

  std::size_t gpt2(std::size_t at) const {
    if (const std::size_t end = contraction(at); end > at) return end;
    const std::size_t body = text_[at] == ' ' && at + 1 < text_.size() ? at + 1 : at;
    const char32_t c = code_point_at(text_, body).value;
    if (is_letter(c)) return run(body, is_letter);
    if (is_number(c)) return run(body, is_number);
    if (!is_space(c)) return run(body, is_other);
    return spaces(at, run(at, is_space));
  }

  std::size_t llama(std::size_t at, int digits) const {
    if (const std::size_t end = contraction(at); end > at) return end;
    const auto [c, length] = code_point_at(text_, at);
    if (is_letter(c)) return run(at, is_letter);
    if (is_number(c)) return numbers(at, digits);
    if (!is_newline(c) && at + length < text_.size() && is_letter(code_point_at(text_, at + length).value))
      return run(at + length, is_letter);
    const std::size_t body = c == ' ' && at + 1 < text_.size() ? at + 1 : at;
    if (is_other(code_point_at(text_, body).value)) return run(run(body, is_other), is_newline);
    const std::size_t end = run(at, is_space);
    const std::size_t newline = text_.substr(at, end - at).find_last_of("\r\n");
    return newline != std::string_view::npos ? at + newline + 1 : spaces(at, end);
  }

 private:
  template <class Predicate>
  std::size_t run(std::size_t at, Predicate belongs) const {
    while (at < text_.size()) {
      const auto [c, length] = code_point_at(text_, at);
      if (!belongs(c)) break;
      at += length;
    }
    return at;
  }

  std::size_t numbers(std::size_t at, int limit) const {
    for (int i = 0; i < limit && at < text_.size(); ++i) {
      const auto [c, length] = code_point_at(text_, at);
      if (!is_number(c)) break;
      at += length;
    }
    return at;
  }

  // \s+(?!\S)|\s+ on a run of spaces that ends at `end`: the last one is left to the word that follows.
  std::size_t spaces(std::size_t at, std::size_t end) const {
    if (end == text_.size()) return end;
    const std::size_t last = previous_character(text_, end);
    return last > at ? last : end;
  }

  char lower(std::size_t at) const {
    const char c = text_[at];
    return ignore_case_ && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }

  std::size_t contraction(std::size_t at) const {
    if (text_[at] != '\'' || at + 1 >= text_.size()) return at;
    const char first = lower(at + 1);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
    // The long s folds to s; it is the one letter outside ASCII that matches one of these without regard to
    // case.
    if (ignore_case_ && text_.substr(at + 1, 2) == "\xC5\xBF") return at + 3;
    if (at + 2 >= text_.size()) return at;
    const char second = lower(at + 2);
    const bool found =
        (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l');
    return found ? at + 3 : at;
  }

  std::string_view text_;
  bool ignore_case_;
};

}  // namespace

std::optional<Expression> known_expression(std::string_view regex) {
  for (const auto& [known, expression] :
       {std::pair(gpt2_regex, Expression::gpt2), std::pair(one_digit_regex, Expression::one_digit),
        std::pair(three_digits_regex, Expression::three_digits)})
    if (regex == known) return expression;
  return std::nullopt;
}

void scan(Expression expression, std::string_view text, Range range, std::vector<Range>& out) {
  const std::string_view part = text.substr(range.begin, range.end - range.begin);
  const Scanner scanner(part, expression != Expression::gpt2);
  for (std::size_t at = 0; at < part.size();) {
    const std::size_t end = expression == Expression::gpt2
                                ? scanner.gpt2(at)
                                : scanner.llama(at, expression == Expression::one_digit ? 1 : 3);
    out.push_back({static_cast<std::uint32_t>(range.begin + at), static_cast<std::uint32_t>(range.begin + end)});
    at = end;
  }
}

}  // namespace weft::text
