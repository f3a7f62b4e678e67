// Statements, scopes and macros. Expressions are in evaluate.cpp.
#include "text/chat/interpreter.h"

#include <algorithm>

#include "text/chat/builtins.h"
#include "text/chat/scopes.h"

namespace weft::text::jinja {

Interpreter::Interpreter(const Program& program, const OrderedJson& variables, const RenderLimits& limits)
    : program_(program),
      variables_(variables),
      limits_(limits),
      budget_(limits.steps, limits.output_bytes),
      root_(std::make_shared<Scope>(nullptr)),
      scope_(root_.get()),
      globals_(program.names.size()) {}

Interpreter::~Interpreter() {
  for (const auto& scope : retained_)
    scope->variables.clear();
  root_->variables.clear();
  for (const auto& space : namespaces_)
    space->attributes.clear();
}

// Messages keep their identity through slices and filters of their list, and the innermost loop over them counts.
void Interpreter::note_message(const Value& item) noexcept {
  const auto name = std::find(program_.names.begin(), program_.names.end(), "messages");
  if (failed_message_ || item.dict() == nullptr || name == program_.names.end()) return;
  const auto& messages = globals_[static_cast<std::size_t>(name - program_.names.begin())];
  const List* list = messages ? messages->sequence() : nullptr;
  if (list == nullptr) return;
  for (std::size_t i = 0; i < list->items.size() && !failed_message_; ++i)
    if (list->items[i].dict() == item.dict()) failed_message_ = i;
}

std::string Interpreter::run() {
  std::string out;
  run(program_.body, out);
  return out;
}

const Value* Interpreter::Scope::find(NameId name) const noexcept {
  for (const auto& [known, value] : variables)
    if (known == name) return &value;
  return nullptr;
}

void Interpreter::Scope::set(NameId name, Value value) {
  for (auto& [known, old] : variables) {
    if (known != name) continue;
    old = std::move(value);
    return;
  }
  variables.emplace_back(name, std::move(value));
}

// The request's variables win over the global functions.
const Value& Interpreter::global(NameId name) {
  auto& slot = globals_[name];
  if (slot) return *slot;
  const std::string& text = program_.names[name];
  const auto found = variables_.is_object() ? variables_.find(text) : variables_.end();
  if (variables_.is_object() && found != variables_.end())
    slot = from_json(*found);
  else if (auto builtin = find_global(text))
    slot = *std::move(builtin);
  else
    slot = Value(Undefined{.name = &text});
  return *slot;
}

void Interpreter::retain(Scope* scope) {
  for (; scope != nullptr && !scope->retained; scope = scope->parent) {
    scope->retained = true;
    retained_.push_back(scope->shared_from_this());
  }
}

Value Interpreter::make_namespace(Arguments& arguments) {
  auto space = std::make_shared<Namespace>();
  for (const Value& mapping : arguments.positional) {
    if (mapping.dict() == nullptr) throw fault("TypeError: namespace() takes a dict or named arguments");
    for (const auto& [key, value] : mapping.dict()->entries)
      space->set(to_text(budget_, key), value);
  }
  for (auto& [name, value] : arguments.named)
    space->set(name, std::move(value));
  namespaces_.push_back(space);
  return Value(std::move(space));
}

const std::string& Interpreter::keep(const std::string& name) {
  budget_.spend(1 + name.size() / 16);
  return *kept_names_.insert(name).first;
}

void Interpreter::append(std::string_view text, std::string& out) {
  budget_.check_length(out.size() + text.size());
  budget_.spend(text.size() / 16);
  out.append(text);
}

Interpreter::Flow Interpreter::run(const Body& body, std::string& out) {
  for (const Statement& statement : body)
    if (const Flow flow = run(statement, out); flow != Flow::normal) return flow;
  return Flow::normal;
}

Interpreter::Flow Interpreter::run(const Statement& statement, std::string& out) {
  const Level level(level_);
  budget_.spend(1);
  at_ = statement.offset;
  switch (statement.kind) {
    case StatementKind::text: append(statement.text, out); break;
    case StatementKind::output: {
      const Value value = evaluate(*statement.expression);
      at_ = statement.expression->offset;
      append_text(budget_, value, out);
      break;
    }
    case StatementKind::branch: return branch(statement, out);
    case StatementKind::loop: loop(statement, evaluate(*statement.expression), 0, out); break;
    case StatementKind::set: assign(statement.target, evaluate(*statement.expression)); break;
    case StatementKind::set_block: set_block(statement); break;
    case StatementKind::macro: define_macro(statement); break;
    case StatementKind::call_block: call_block(statement, out); break;
    case StatementKind::filter_block: append(filtered(statement), out); break;
    case StatementKind::with: with(statement, out); break;
    case StatementKind::scope: {
      const Entered scope(*this);
      return run(statement.body, out);
    }
    case StatementKind::break_loop: return Flow::break_loop;
    case StatementKind::continue_loop: return Flow::continue_loop;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::branch(const Statement& statement, std::string& out) {
  for (const auto& [condition, body] : statement.branches)
    if (evaluate(*condition).truthy()) return run(body, out);
  return run(statement.body, out);
}

// All that the loop will visit: a filter sees the target, but not `loop`.
std::vector<Value> Interpreter::loop_items(const Statement& statement, const Value& over) {
  at_ = statement.expression->offset;
  std::vector<Value> items = iterate(budget_, over);
  if (!statement.condition) return items;
  std::vector<Value> kept;
  for (const Value& item : items) {
    const Entered scope(*this);
    const Noted noted(*this, item);
    assign(statement.target, item);
    if (evaluate(*statement.condition).truthy()) kept.push_back(item);
  }
  return kept;
}

void Interpreter::loop(const Statement& statement, const Value& over, int level, std::string& out) {
  auto state = std::make_shared<Loop>();
  state->items = loop_items(statement, over);
  state->depth = depth_around(state->items);
  state->level = level;
  if (statement.recursive)
    state->recurse = [&statement, level](Interpreter& self, Arguments& arguments) {
      if (arguments.positional.size() != 1) throw fault("TypeError: loop() takes one argument");
      const Level deeper(self.macro_level_, self.limits_.depth);
      std::string inner;
      self.loop(statement, arguments.positional[0], level + 1, inner);
      return Value::string(std::move(inner));
    };
  if (!iterate_body(statement, state, out)) return;
  const Entered scope(*this);
  run(statement.otherwise, out);
}

// Whether no turn of the loop came to the end of its body: then Jinja runs the else branch, as if there had been none.
bool Interpreter::iterate_body(const Statement& statement, const std::shared_ptr<Loop>& state, std::string& out) {
  bool none_ended = true;
  const Entered loop_scope(*this);
  scope_->set(name_loop, Value(state));
  const struct Ended {  // what loop.changed() keeps might hold the loop itself
    Loop& loop;
    ~Ended() { loop.changed.reset(); }
  } ended{*state};
  for (state->index = 0; state->index < state->items.size(); ++state->index) {
    budget_.spend(1);
    const Entered body_scope(*this);
    const Noted noted(*this, state->items[state->index]);
    assign(statement.target, state->items[state->index]);
    const Flow flow = run(statement.body, out);
    if (flow == Flow::break_loop) break;
    if (flow == Flow::normal) none_ended = false;
  }
  return none_ended;
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (!target.parts.empty()) {
    at_ = target.offset;
    const std::vector<Value> items = iterate(budget_, value);
    if (items.size() < target.parts.size())
      throw fault("ValueError: not enough values to unpack (expected {}, got {})", target.parts.size(), items.size());
    if (items.size() > target.parts.size())
      throw fault("ValueError: too many values to unpack (expected {})", target.parts.size());
    for (std::size_t i = 0; i < items.size(); ++i)
      assign(target.parts[i], items[i]);
    return;
  }
  if (target.attribute.empty()) return scope_->set(target.name, value);
  const Value* space = nullptr;
  for (const Scope* scope = scope_; scope != nullptr && space == nullptr; scope = scope->parent)
    space = scope->find(target.name);
  const auto* found = space != nullptr ? space->get<std::shared_ptr<Namespace>>() : nullptr;
  if (found == nullptr) {
    at_ = target.offset;
    throw fault("TemplateRuntimeError: cannot assign attribute on non-namespace object '{}'", target.name_text);
  }
  budget_.spend((*found)->attributes.size() / 8);
  (*found)->set(target.attribute, value);
}

std::string Interpreter::captured(const Body& body) {
  const Entered scope(*this);
  std::string inner;
  run(body, inner);
  return inner;
}

std::string Interpreter::filtered(const Statement& statement) {
  Value value = Value::string(captured(statement.body));
  for (const ExpressionPtr& each : statement.filters)
    value = filter(*each, value);
  return to_text(budget_, value);
}

void Interpreter::set_block(const Statement& statement) {
  Value value = Value::string(captured(statement.body));
  for (const ExpressionPtr& each : statement.filters)
    value = filter(*each, value);
  assign(statement.target, value);
}

void Interpreter::with(const Statement& statement, std::string& out) {
  std::vector<Value> values;  // all seen from outside, as in Jinja
  for (const auto& assignment : statement.assignments)
    values.push_back(evaluate(*assignment.second));
  const Entered scope(*this);
  for (std::size_t i = 0; i < values.size(); ++i)
    assign(statement.assignments[i].first, values[i]);
  run(statement.body, out);
}

Value Interpreter::make_macro(const MacroDefinition& macro) {
  retain(scope_);
  return Value(std::shared_ptr<const Callable>(std::make_shared<Callable>(
      Callable{.name = macro.name, .call = [&macro, defined_in = scope_](Interpreter& self, Arguments& arguments) {
                 return self.call_macro(macro, defined_in, arguments);
               }})));
}

void Interpreter::define_macro(const Statement& statement) {
  scope_->set(statement.macro->name_id, make_macro(*statement.macro));
}

void Interpreter::call_block(const Statement& statement, std::string& out) {
  const Value caller = make_macro(*statement.macro);
  const Value result = call_node(*statement.expression, &caller);
  append_text(budget_, result, out);
}

Value Interpreter::call_macro(const MacroDefinition& macro, Scope* defined_in, Arguments& arguments) {
  const Level level(macro_level_, limits_.depth);
  const Entered scope(*this, defined_in);
  const std::uint32_t called_at = at_;
  bind_parameters(macro, arguments);
  std::string out;
  run(macro.body, out);
  at_ = called_at;
  return Value::string(std::move(out));
}

void Interpreter::bind_parameters(const MacroDefinition& macro, Arguments& arguments) {
  auto& positional = arguments.positional;
  const std::size_t count = macro.parameters.size();
  std::vector<bool> taken(arguments.named.size(), false);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [id, name] = macro.parameters[i];
    std::optional<Value> value;
    if (i < positional.size()) value = positional[i];
    for (std::size_t k = 0; k < arguments.named.size(); ++k) {
      if (arguments.named[k].first != name) continue;
      if (value) throw fault("TypeError: macro '{}' got two values for '{}'", macro.name, name);
      value = arguments.named[k].second;
      taken[k] = true;
    }
    const std::size_t without_default = count - macro.defaults.size();
    if (!value && i >= without_default) value = evaluate(*macro.defaults[i - without_default]);
    scope_->set(id, value ? *value : Value(Undefined{.name = &name}));
  }
  auto kwargs = std::make_shared<Dict>();
  Value caller(Undefined{.name = &program_.names[name_caller]});
  for (std::size_t k = 0; k < arguments.named.size(); ++k) {
    if (taken[k]) continue;
    const auto& [name, value] = arguments.named[k];
    if (name == "caller") {
      if (!macro.uses_caller)
        throw fault("TypeError: macro '{}' was invoked with a caller it does not use", macro.name);
      caller = value;
    } else if (macro.uses_kwargs) {
      kwargs->set(Value::string(name), value);
    } else {
      throw fault("TypeError: macro '{}' takes no keyword argument '{}'", macro.name, name);
    }
  }
  if (macro.uses_caller) scope_->set(name_caller, caller);
  if (macro.uses_kwargs) scope_->set(name_kwargs, Value(std::shared_ptr<const Dict>(std::move(kwargs))));
  if (positional.size() > count && !macro.uses_varargs)
    throw fault("TypeError: macro '{}' takes not more than {} argument(s)", macro.name, count);
  if (!macro.uses_varargs) return;
  std::vector<Value> rest;
  for (std::size_t i = count; i < positional.size(); ++i)
    rest.push_back(positional[i]);
  scope_->set(name_varargs, Value::tuple(std::move(rest)));
}

}  // namespace weft::text::jinja
