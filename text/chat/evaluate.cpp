// Expressions.
#include <algorithm>

#include "text/chat/builtins.h"
#include "text/chat/interpreter.h"
#include "text/chat/operators.h"
#include "text/chat/scopes.h"

namespace weft::text::jinja {

Value Interpreter::evaluate(const Expression& node) {
  if (node.kind == ExpressionKind::literal) return node.literal;
  const Level level(level_);
  budget_.spend(1);
  at_ = node.offset;
  return evaluate_node(node);
}

Value Interpreter::evaluate_node(const Expression& node) {
  const auto child = [&](std::size_t i) { return evaluate(*node.children[i]); };
  switch (node.kind) {
    case ExpressionKind::literal: return node.literal;
    case ExpressionKind::name: return name(node);
    case ExpressionKind::list: return Value::list(evaluate_all(node.children));
    case ExpressionKind::tuple: return Value::tuple(evaluate_all(node.children));
    case ExpressionKind::dict: return dict(node);
    case ExpressionKind::unary: {
      const Value operand = child(0);
      at_ = node.offset;
      return unary(node.operation, operand);
    }
    case ExpressionKind::binary: {
      const Value left = child(0);
      const Value right = child(1);
      at_ = node.offset;
      return binary(budget_, node.operation, left, right);
    }
    case ExpressionKind::logic_and: {
      Value left = child(0);
      return left.truthy() ? child(1) : left;
    }
    case ExpressionKind::logic_or: {
      Value left = child(0);
      return left.truthy() ? left : child(1);
    }
    case ExpressionKind::logic_not: return Value::boolean(!child(0).truthy());
    case ExpressionKind::compare: return compare(node);
    case ExpressionKind::concat: return concat(node);
    case ExpressionKind::conditional:
      if (child(0).truthy()) return child(1);
      return node.children[2] ? child(2) : Value();
    case ExpressionKind::attribute: {
      const Value object = child(0);
      at_ = node.offset;
      return attribute_of(*this, object, node.text);
    }
    case ExpressionKind::item: {
      const Value object = child(0);
      const Value key = child(1);
      at_ = node.offset;
      return item_of(*this, object, key);
    }
    case ExpressionKind::slice: return slice(node);
    case ExpressionKind::call: return call_node(node, nullptr);
    case ExpressionKind::filter: return filter(node, child(0));
    case ExpressionKind::test: return Value::boolean(test(node));
  }
  return Value();
}

Value Interpreter::name(const Expression& node) {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent)
    if (const Value* found = scope->find(node.name)) return *found;
  return global(node.name);
}

std::vector<Value> Interpreter::evaluate_all(const std::vector<ExpressionPtr>& nodes) {
  std::vector<Value> values;
  values.reserve(nodes.size());
  for (const auto& each : nodes)
    values.push_back(evaluate(*each));
  return values;
}

Value Interpreter::dict(const Expression& node) {
  auto made = std::make_shared<Dict>();
  for (std::size_t i = 0; i < node.children.size(); i += 2) {
    Value key = evaluate(*node.children[i]);
    at_ = node.children[i]->offset;
    check_hashable(key);
    made->set(std::move(key), evaluate(*node.children[i + 1]));
  }
  return Value(std::shared_ptr<const Dict>(std::move(made)));
}

// a < b < c: each neighbours' comparison, until one is false.
Value Interpreter::compare(const Expression& node) {
  Value left = evaluate(*node.children[0]);
  for (std::size_t i = 0; i < node.operations.size(); ++i) {
    Value right = evaluate(*node.children[i + 1]);
    at_ = node.offset;
    if (!jinja::compare(budget_, node.operations[i], left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::concat(const Expression& node) {
  std::string out;
  for (const auto& each : node.children)
    append_text(budget_, evaluate(*each), out);
  return Value::string(std::move(out));
}

Value Interpreter::slice(const Expression& node) {
  const Value subject = evaluate(*node.children[0]);
  Value bounds[3] = {Value::none(), Value::none(), Value::none()};
  for (std::size_t i = 0; i < 3; ++i)
    if (node.children[i + 1]) bounds[i] = evaluate(*node.children[i + 1]);
  at_ = node.offset;
  return slice_of(budget_, subject, bounds[0], bounds[1], bounds[2]);
}

Arguments Interpreter::arguments(const CallArguments& given) {
  Arguments made;
  made.positional = evaluate_all(given.positional);
  for (const auto& [name, value] : given.named)
    made.named.emplace_back(name, evaluate(*value));
  if (given.star)
    for (Value& value : iterate(budget_, evaluate(*given.star)))
      made.positional.push_back(std::move(value));
  if (given.double_star) {
    const Value more = evaluate(*given.double_star);
    if (more.dict() == nullptr) throw fault("TypeError: argument after ** must be a mapping, not {}", more.type_name());
    for (const auto& [name, value] : more.dict()->entries)
      made.named.emplace_back(to_text(budget_, name), value);
  }
  return made;
}

Value Interpreter::call_node(const Expression& node, const Value* caller) {
  const Expression& callee = *node.children[0];
  if (callee.kind == ExpressionKind::attribute) {  // a method, without making an object of it
    const Value self = evaluate(*callee.children[0]);
    if (const Method method = find_method(self, callee.text)) {
      Arguments given = arguments(node.arguments);
      at_ = callee.offset;
      return method(*this, self, given);
    }
    at_ = callee.offset;
    const Value function = attribute_of(*this, self, callee.text);
    Arguments given = arguments(node.arguments);
    if (caller != nullptr) given.named.emplace_back("caller", *caller);
    at_ = callee.offset;
    return call(function, given);
  }
  const Value function = evaluate(callee);
  Arguments given = arguments(node.arguments);
  if (caller != nullptr) given.named.emplace_back("caller", *caller);
  at_ = callee.offset;
  return call(function, given);
}

Value Interpreter::call(const Value& callee, Arguments& given) {
  if (const auto* callable = callee.get<std::shared_ptr<const Callable>>()) {
    const auto kept = *callable;  // a macro may assign to the variable that holds it
    return kept->call(*this, given);
  }
  if (const auto* loop_state = callee.get<std::shared_ptr<Loop>>()) {
    const auto kept = *loop_state;
    if (!kept->recurse) throw fault("TypeError: the loop must have the 'recursive' marker to be called");
    return kept->recurse(*this, given);
  }
  if (const auto* undefined = callee.get<Undefined>()) throw fault("{}", undefined->message());
  throw fault("TypeError: '{}' object is not callable", callee.type_name());
}

Value Interpreter::filter(const Expression& node, const Value& subject) {
  at_ = node.offset;
  if (node.filter == nullptr) throw no_filter(node.text);
  Arguments given = arguments(node.arguments);
  at_ = node.offset;
  return node.filter(*this, subject, given);
}

bool Interpreter::test(const Expression& node) {
  const Value subject = evaluate(*node.children[0]);
  at_ = node.offset;
  if (node.test == nullptr) throw fault("TemplateRuntimeError: No test named '{}' found.", node.text);
  Arguments given = arguments(node.arguments);
  at_ = node.offset;
  return node.test(*this, subject, given);
}

}  // namespace weft::text::jinja
