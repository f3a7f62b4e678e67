#include "text/chat/expression_parser.h"

#include <algorithm>
#include <array>
#include <optional>

namespace weft::text::jinja {
namespace {

// Of brackets within brackets; each level costs the parser about a dozen frames.
constexpr int deepest_nesting = 100;
// Of the tree, which the interpreter walks; "a + b + c ..." is one level an operator.
constexpr int deepest_tree = 400;

}  // namespace

ExpressionParser::Nesting::Nesting(int& depth) : depth_(depth) {
  if (depth_ >= deepest_nesting) throw fault("an expression nested deeper than {}", deepest_nesting);
  ++depth_;
}

ExpressionPtr ExpressionParser::finish(ExpressionPtr node) {
  int deepest = 0;
  const auto look = [&](const ExpressionPtr& child) {
    if (child) deepest = std::max(deepest, child->depth);
  };
  for (const auto& child : node->children)
    look(child);
  for (const auto& child : node->arguments.positional)
    look(child);
  for (const auto& child : node->arguments.named)
    look(child.second);
  look(node->arguments.star);
  look(node->arguments.double_star);
  node->depth = deepest + 1;
  if (node->depth > deepest_tree) throw fault("an expression of more than {} levels", deepest_tree);
  return node;
}

ExpressionPtr ExpressionParser::make(ExpressionKind kind, std::uint32_t offset) {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->offset = offset;
  return node;
}

ExpressionPtr ExpressionParser::binary(Operation operation, std::uint32_t offset, ExpressionPtr left,
                                       ExpressionPtr right) {
  auto node = make(ExpressionKind::binary, offset);
  node->operation = operation;
  node->children.push_back(std::move(left));
  node->children.push_back(std::move(right));
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::expression(bool with_conditional) {
  const Nesting nesting(nesting_);
  return with_conditional ? conditional() : logic_or();
}

ExpressionPtr ExpressionParser::conditional() {
  auto value = logic_or();
  while (tokens_.is_name("if")) {
    auto node = make(ExpressionKind::conditional, tokens_.offset());
    tokens_.next();
    auto condition = logic_or();
    ExpressionPtr otherwise;
    if (tokens_.skip_name("else")) otherwise = expression();
    node->children.push_back(std::move(condition));
    node->children.push_back(std::move(value));
    node->children.push_back(std::move(otherwise));
    value = finish(std::move(node));
  }
  return value;
}

ExpressionPtr ExpressionParser::logic_or() {
  auto left = logic_and();
  while (tokens_.is_name("or")) {
    auto node = make(ExpressionKind::logic_or, tokens_.offset());
    tokens_.next();
    node->children.push_back(std::move(left));
    node->children.push_back(logic_and());
    left = finish(std::move(node));
  }
  return left;
}

ExpressionPtr ExpressionParser::logic_and() {
  auto left = logic_not();
  while (tokens_.is_name("and")) {
    auto node = make(ExpressionKind::logic_and, tokens_.offset());
    tokens_.next();
    node->children.push_back(std::move(left));
    node->children.push_back(logic_not());
    left = finish(std::move(node));
  }
  return left;
}

ExpressionPtr ExpressionParser::logic_not() {
  if (!tokens_.is_name("not")) return compare();
  const Nesting nesting(nesting_);
  auto node = make(ExpressionKind::logic_not, tokens_.offset());
  tokens_.next();
  node->children.push_back(logic_not());
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::compare() {
  static constexpr std::array<std::pair<std::string_view, Operation>, 6> signs = {{{"==", Operation::equal},
                                                                                   {"!=", Operation::not_equal},
                                                                                   {"<", Operation::less},
                                                                                   {"<=", Operation::less_equal},
                                                                                   {">", Operation::greater},
                                                                                   {">=", Operation::greater_equal}}};
  const std::uint32_t offset = tokens_.offset();
  auto first = sum();
  ExpressionPtr node;
  while (true) {
    std::optional<Operation> operation;
    for (const auto& [sign, meaning] : signs)
      if (tokens_.is_symbol(sign)) operation = meaning;
    if (tokens_.is_name("in")) operation = Operation::in;
    if (tokens_.is_name("not") && tokens_.ahead().kind == TokenKind::name && tokens_.ahead().text == "in") {
      operation = Operation::not_in;
      tokens_.next();
    }
    if (!operation) break;
    tokens_.next();
    if (!node) {
      node = make(ExpressionKind::compare, offset);
      node->children.push_back(std::move(first));
    }
    node->operations.push_back(*operation);
    node->children.push_back(sum());
  }
  return node ? finish(std::move(node)) : std::move(first);
}

ExpressionPtr ExpressionParser::sum() {
  auto left = concat();
  while (tokens_.is_symbol("+") || tokens_.is_symbol("-")) {
    const std::uint32_t offset = tokens_.offset();
    const Operation operation = tokens_.next().text == "+" ? Operation::add : Operation::subtract;
    left = binary(operation, offset, std::move(left), concat());
  }
  return left;
}

ExpressionPtr ExpressionParser::concat() {
  auto first = product();
  if (!tokens_.is_symbol("~")) return first;
  auto node = make(ExpressionKind::concat, tokens_.offset());
  node->children.push_back(std::move(first));
  while (tokens_.skip_symbol("~"))
    node->children.push_back(product());
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::product() {
  static constexpr std::array<std::pair<std::string_view, Operation>, 4> signs = {{{"*", Operation::multiply},
                                                                                   {"/", Operation::divide},
                                                                                   {"//", Operation::floor_divide},
                                                                                   {"%", Operation::modulo}}};
  auto left = power();
  while (true) {
    const auto found =
        std::find_if(signs.begin(), signs.end(), [&](const auto& sign) { return tokens_.is_symbol(sign.first); });
    if (found == signs.end()) return left;
    const std::uint32_t offset = tokens_.offset();
    tokens_.next();
    left = binary(found->second, offset, std::move(left), power());
  }
}

ExpressionPtr ExpressionParser::power() {
  auto left = unary(true);
  while (tokens_.is_symbol("**")) {
    const std::uint32_t offset = tokens_.offset();
    tokens_.next();
    left = binary(Operation::power, offset, std::move(left), unary(true));
  }
  return left;
}

ExpressionPtr ExpressionParser::unary(bool with_filter) {
  ExpressionPtr node;
  if (tokens_.is_symbol("-") || tokens_.is_symbol("+")) {
    const Nesting nesting(nesting_);
    node = make(ExpressionKind::unary, tokens_.offset());
    node->operation = tokens_.next().text == "-" ? Operation::negate : Operation::plus;
    node->children.push_back(unary(false));
    node = finish(std::move(node));
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filter ? filters_and_tests(std::move(node)) : std::move(node);
}

}  // namespace weft::text::jinja
