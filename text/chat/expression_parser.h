// Expressions. Nesting is bounded while parsing (the parser's stack) and in what comes out (the interpreter's).
#pragma once

#include <string>
#include <vector>

#include "text/chat/token_stream.h"

namespace weft::text::jinja {

class ExpressionParser {
 public:
  ExpressionParser(TokenStream& tokens, Names& names) : tokens_(tokens), names_(names) {}

  ExpressionPtr expression(bool with_conditional = true);
  // "a, b" is a tuple; `may_be_empty` for "()".
  ExpressionPtr tuple(bool with_conditional = true, bool may_be_empty = false);
  // "|upper|trim": a chain without a subject, as in {% set x | upper %}. In {% filter upper|trim %} the block's name
  // stands where the first bar would.
  std::vector<ExpressionPtr> filter_chain(bool starts_with_name = false);
  Target target(bool may_unpack, bool may_be_attribute);
  CallArguments call_arguments();

  bool saw_varargs = false;
  bool saw_kwargs = false;
  bool saw_caller = false;

 private:
  class Nesting {  // one level of brackets; throws beyond the limit
   public:
    explicit Nesting(int& depth);
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    ~Nesting() { --depth_; }

   private:
    int& depth_;
  };
  static ExpressionPtr finish(ExpressionPtr node);  // counts its depth; every node that has children ends with this
  ExpressionPtr make(ExpressionKind kind, std::uint32_t offset);
  ExpressionPtr conditional();
  ExpressionPtr logic_or();
  ExpressionPtr logic_and();
  ExpressionPtr logic_not();
  ExpressionPtr compare();
  ExpressionPtr sum();
  ExpressionPtr concat();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filter);
  ExpressionPtr primary();
  ExpressionPtr name_or_constant();
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr subject);
  ExpressionPtr filters_and_tests(ExpressionPtr subject);
  ExpressionPtr subscript(ExpressionPtr subject);
  ExpressionPtr filter(ExpressionPtr subject);
  ExpressionPtr test(ExpressionPtr subject);
  ExpressionPtr binary(Operation operation, std::uint32_t offset, ExpressionPtr left, ExpressionPtr right);
  Target single_target(bool may_be_attribute);
  std::string dotted_name();

  TokenStream& tokens_;
  Names& names_;
  int nesting_ = 0;
};

}  // namespace weft::text::jinja
