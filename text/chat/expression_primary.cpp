// What binds tightest: names, literals, brackets, what follows them, and the targets of assignments.
#include "text/chat/builtins.h"
#include "text/chat/expression_parser.h"

namespace weft::text::jinja {
namespace {

bool starts_argument(const TokenStream& tokens) {
  const Token& token = tokens.current();
  if (token.kind == TokenKind::name) return token.text != "else" && token.text != "or" && token.text != "and";
  if (token.kind == TokenKind::symbol) return token.text == "[" || token.text == "{";
  return token.kind == TokenKind::string || token.kind == TokenKind::integer || token.kind == TokenKind::real;
}

}  // namespace

ExpressionPtr ExpressionParser::primary() {
  const Token& token = tokens_.current();
  const std::uint32_t offset = token.offset;
  if (token.kind == TokenKind::name) return name_or_constant();
  if (token.kind == TokenKind::symbol) {
    if (token.text == "(") {
      tokens_.next();
      auto inner = tuple(true, true);
      tokens_.expect_symbol(")");
      return inner;
    }
    if (token.text == "[") return list();
    if (token.text == "{") return dict();
    throw fault("{}, expected an expression", tokens_.describe());
  }
  auto node = make(ExpressionKind::literal, offset);
  if (token.kind == TokenKind::string) {
    std::string text;
    while (tokens_.is(TokenKind::string))
      text += tokens_.next().text;
    node->literal = Value::string(std::move(text));
  } else if (token.kind == TokenKind::integer) {
    node->literal = Value::integer(tokens_.next().integer);
  } else if (token.kind == TokenKind::real) {
    node->literal = Value::real(tokens_.next().real);
  } else {
    throw fault("{}, expected an expression", tokens_.describe());
  }
  return node;
}

ExpressionPtr ExpressionParser::name_or_constant() {
  const std::uint32_t offset = tokens_.offset();
  const std::string name = tokens_.next().text;
  auto literal = make(ExpressionKind::literal, offset);
  if (name == "true" || name == "True") return literal->literal = Value::boolean(true), std::move(literal);
  if (name == "false" || name == "False") return literal->literal = Value::boolean(false), std::move(literal);
  if (name == "none" || name == "None") return literal->literal = Value::none(), std::move(literal);
  auto node = make(ExpressionKind::name, offset);
  node->name = names_.intern(name);
  node->text = name;
  saw_varargs |= node->name == name_varargs;
  saw_kwargs |= node->name == name_kwargs;
  saw_caller |= node->name == name_caller;
  return node;
}

ExpressionPtr ExpressionParser::list() {
  auto node = make(ExpressionKind::list, tokens_.offset());
  tokens_.next();
  while (!tokens_.is_symbol("]")) {
    if (!node->children.empty()) tokens_.expect_symbol(",");
    if (tokens_.is_symbol("]")) break;
    node->children.push_back(expression());
  }
  tokens_.expect_symbol("]");
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::dict() {
  auto node = make(ExpressionKind::dict, tokens_.offset());
  tokens_.next();
  while (!tokens_.is_symbol("}")) {
    if (!node->children.empty()) tokens_.expect_symbol(",");
    if (tokens_.is_symbol("}")) break;
    node->children.push_back(expression());
    tokens_.expect_symbol(":");
    node->children.push_back(expression());
  }
  tokens_.expect_symbol("}");
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::tuple(bool with_conditional, bool may_be_empty) {
  const std::uint32_t offset = tokens_.offset();
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
  const auto at_end = [&] {
    return tokens_.is(TokenKind::expression_end) || tokens_.is(TokenKind::block_end) || tokens_.is_symbol(")") ||
           tokens_.is_name("recursive") || (!with_conditional && tokens_.is_name("if") && !items.empty());
  };
  while (!at_end()) {
    items.push_back(expression(with_conditional));
    if (!tokens_.skip_symbol(",")) break;
    is_tuple = true;
  }
  if (items.size() == 1 && !is_tuple) return std::move(items.front());
  if (items.empty() && !may_be_empty) throw fault("{}, expected an expression", tokens_.describe());
  auto node = make(ExpressionKind::tuple, offset);
  node->children = std::move(items);
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr subject) {
  while (true) {
    if (tokens_.is_symbol(".")) {
      tokens_.next();
      const bool index = tokens_.is(TokenKind::integer);
      auto node = make(index ? ExpressionKind::item : ExpressionKind::attribute, tokens_.offset());
      node->children.push_back(std::move(subject));
      if (index) {
        auto literal = make(ExpressionKind::literal, tokens_.offset());
        literal->literal = Value::integer(tokens_.next().integer);
        node->children.push_back(std::move(literal));
      } else {
        node->text = tokens_.expect_name();
      }
      subject = finish(std::move(node));
    } else if (tokens_.is_symbol("[")) {
      subject = subscript(std::move(subject));
    } else if (tokens_.is_symbol("(")) {
      auto node = make(ExpressionKind::call, tokens_.offset());
      node->children.push_back(std::move(subject));
      node->arguments = call_arguments();
      subject = finish(std::move(node));
    } else {
      return subject;
    }
  }
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr subject) {
  while (true) {
    if (tokens_.is_symbol("|"))
      subject = filter(std::move(subject));
    else if (tokens_.is_name("is"))
      subject = test(std::move(subject));
    else if (tokens_.is_symbol("("))  // the result of a filter, called
      subject = postfix(std::move(subject));
    else
      return subject;
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr subject) {
  const std::uint32_t offset = tokens_.offset();
  tokens_.next();
  std::vector<ExpressionPtr> parts;
  bool is_slice = false;
  const auto part = [&] {
    const bool absent = tokens_.is_symbol(":") || tokens_.is_symbol("]");
    parts.push_back(absent ? nullptr : expression());
  };
  part();
  while (parts.size() < 3 && tokens_.skip_symbol(":")) {
    is_slice = true;
    part();
  }
  if (!is_slice && !parts.front()) throw fault("{}, expected an index", tokens_.describe());
  if (!is_slice && tokens_.is_symbol(",")) {  // a["x", 1]: a tuple as key
    auto key = make(ExpressionKind::tuple, offset);
    key->children.push_back(std::move(parts.front()));
    while (tokens_.skip_symbol(","))
      key->children.push_back(expression());
    parts.front() = finish(std::move(key));
  }
  tokens_.expect_symbol("]");
  if (is_slice) parts.resize(3);
  auto node = make(is_slice ? ExpressionKind::slice : ExpressionKind::item, offset);
  node->children.push_back(std::move(subject));
  for (auto& each : parts)
    node->children.push_back(std::move(each));
  return finish(std::move(node));
}

std::string ExpressionParser::dotted_name() {
  std::string name = tokens_.expect_name();
  while (tokens_.skip_symbol("."))
    name += "." + tokens_.expect_name();
  return name;
}

ExpressionPtr ExpressionParser::filter(ExpressionPtr subject) {
  tokens_.next();
  auto node = make(ExpressionKind::filter, tokens_.offset());
  node->text = dotted_name();
  node->filter = find_filter(node->text);
  if (tokens_.is_symbol("(")) node->arguments = call_arguments();
  node->children.push_back(std::move(subject));
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::test(ExpressionPtr subject) {
  tokens_.next();
  const bool negated = tokens_.skip_name("not");
  auto node = make(ExpressionKind::test, tokens_.offset());
  node->text = dotted_name();
  node->test = find_test(node->text);
  node->children.push_back(std::move(subject));
  if (tokens_.is_symbol("(")) {
    node->arguments = call_arguments();
  } else if (tokens_.is_name("is")) {
    throw fault("tests cannot be chained with 'is'");
  } else if (starts_argument(tokens_)) {
    const Nesting nesting(nesting_);
    node->arguments.positional.push_back(postfix(primary()));
  }
  node = finish(std::move(node));
  if (!negated) return node;
  auto negation = make(ExpressionKind::logic_not, node->offset);
  negation->children.push_back(std::move(node));
  return finish(std::move(negation));
}

CallArguments ExpressionParser::call_arguments() {
  CallArguments made;
  tokens_.expect_symbol("(");
  bool first = true;
  while (!tokens_.is_symbol(")")) {
    if (!first) tokens_.expect_symbol(",");
    first = false;
    if (tokens_.is_symbol(")")) break;
    if (tokens_.skip_symbol("**")) {
      if (made.double_star) throw fault("a second '**' among arguments");
      made.double_star = expression();
    } else if (tokens_.skip_symbol("*")) {
      if (made.star) throw fault("a second '*' among arguments");
      made.star = expression();
    } else if (tokens_.is(TokenKind::name) && tokens_.ahead().kind == TokenKind::symbol &&
               tokens_.ahead().text == "=") {
      std::string name = tokens_.next().text;
      tokens_.next();
      made.named.emplace_back(std::move(name), expression());
    } else {
      if (!made.named.empty() || made.double_star) throw fault("an argument without a name behind one with a name");
      made.positional.push_back(expression());
    }
  }
  tokens_.expect_symbol(")");
  return made;
}

std::vector<ExpressionPtr> ExpressionParser::filter_chain(bool starts_with_name) {
  std::vector<ExpressionPtr> chain;
  if (starts_with_name) chain.push_back(filter(nullptr));
  while (tokens_.is_symbol("|"))
    chain.push_back(filter(nullptr));
  return chain;
}

Target ExpressionParser::single_target(bool may_be_attribute) {
  Target made;
  made.offset = tokens_.offset();
  if (tokens_.skip_symbol("(")) {
    made = target(true, may_be_attribute);
    tokens_.expect_symbol(")");
    return made;
  }
  made.name_text = tokens_.expect_name();
  for (const char* reserved : {"true", "false", "none", "True", "False", "None"})
    if (made.name_text == reserved) throw fault("cannot assign to '{}'", made.name_text);
  made.name = names_.intern(made.name_text);
  if (may_be_attribute && tokens_.skip_symbol(".")) made.attribute = tokens_.expect_name();
  return made;
}

Target ExpressionParser::target(bool may_unpack, bool may_be_attribute) {
  const Nesting nesting(nesting_);
  Target first = single_target(may_be_attribute);
  if (!may_unpack || !tokens_.is_symbol(",")) return first;
  Target tuple;
  tuple.offset = first.offset;
  tuple.parts.push_back(std::move(first));
  while (tokens_.skip_symbol(",")) {
    if (!tokens_.is(TokenKind::name) && !tokens_.is_symbol("(")) break;
    if (tokens_.is_name("in")) break;
    tuple.parts.push_back(single_target(may_be_attribute));
  }
  return tuple;
}

}  // namespace weft::text::jinja
