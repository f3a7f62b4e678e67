// What both halves of the parser share: the tokens, where we are, and how to refuse.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/chat/ast.h"
#include "text/chat/lexer.h"

namespace weft::text::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  const Token& next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }

  bool is(TokenKind kind) const { return current().kind == kind; }
  bool is_symbol(std::string_view text) const { return is(TokenKind::symbol) && current().text == text; }
  bool is_name(std::string_view text) const { return is(TokenKind::name) && current().text == text; }

  bool skip_symbol(std::string_view text) {
    const bool here = is_symbol(text);
    if (here) next();
    return here;
  }
  bool skip_name(std::string_view text) {
    const bool here = is_name(text);
    if (here) next();
    return here;
  }
  void expect_symbol(std::string_view text) {
    if (!skip_symbol(text)) throw fault("{}, expected '{}'", describe(), text);
  }
  std::string expect_name() {
    if (!is(TokenKind::name)) throw fault("{}, expected a name", describe());
    return next().text;
  }
  void expect(TokenKind kind, std::string_view what) {
    if (!is(kind)) throw fault("{}, expected {}", describe(), what);
    next();
  }

  // "found 'x'", for messages.
  std::string describe() const {
    switch (current().kind) {
      case TokenKind::end: return "the template ends";
      case TokenKind::data: return "found text";
      case TokenKind::expression_begin: return "found '{{'";
      case TokenKind::expression_end: return "found '}}'";
      case TokenKind::block_begin: return "found '{%'";
      case TokenKind::block_end: return "found '%}'";
      case TokenKind::integer:
      case TokenKind::real: return "found a number";
      case TokenKind::string: return "found a string";
      default: return fmt::format("found '{}'", current().text.substr(0, 60));
    }
  }

  std::uint32_t offset() const { return current().offset; }

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

// Variable names and the numbers that stand for them.
class Names {
 public:
  NameId intern(const std::string& name) {
    const auto [found, added] = numbers_.emplace(name, static_cast<NameId>(names_.size()));
    if (added) names_.push_back(name);
    return found->second;
  }
  std::vector<std::string> take() { return std::move(names_); }

 private:
  std::unordered_map<std::string, NameId> numbers_;
  std::vector<std::string> names_;
};

}  // namespace weft::text::jinja
