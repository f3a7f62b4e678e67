// A parsed template. Plain data; never changed after parsing, so any thread may run it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/chat/value.h"

namespace weft::text::jinja {

// Names of variables are numbers, so that scopes compare ints.
using NameId = std::uint32_t;

struct Arguments;
using Filter = Value (*)(Interpreter&, const Value&, Arguments&);
using Test = bool (*)(Interpreter&, const Value&, Arguments&);

enum class ExpressionKind : std::uint8_t {
  literal,
  name,       // name
  list,       // children
  tuple,      // children
  dict,       // children: key, value, key, value, ...
  unary,      // operation; children: operand
  binary,     // operation; children: left, right
  logic_and,  // children: left, right
  logic_or,
  logic_not,    // children: operand
  compare,      // children: first, then one for each of operations
  concat,       // children
  conditional,  // children: condition, then, else (may be null)
  attribute,    // children: object; text
  item,         // children: object, index
  slice,        // children: object, start, stop, step (each of the three may be null)
  call,         // children: callee; arguments
  filter,       // children: subject (null in a filter block); text, filter, arguments
  test,         // children: subject; text, test, arguments
};

enum class Operation : std::uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  negate,
  plus,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in
};

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr star;         // *args
  ExpressionPtr double_star;  // **kwargs
};

struct Expression {
  ExpressionKind kind = ExpressionKind::literal;
  Operation operation = Operation::add;
  std::uint32_t offset = 0;
  int depth = 1;
  NameId name = 0;
  Value literal;
  std::string text;
  std::vector<ExpressionPtr> children;
  std::vector<Operation> operations;
  CallArguments arguments;
  Filter filter = nullptr;  // null: unknown; said only where it is reached, as in Jinja
  Test test = nullptr;
};

// What is assigned to: a name, an attribute of a namespace, or several of them.
struct Target {
  NameId name = 0;
  std::string name_text;
  std::string attribute;      // not empty: of the namespace `name`
  std::vector<Target> parts;  // not empty: unpacks
  std::uint32_t offset = 0;
};

enum class StatementKind : std::uint8_t {
  text,          // text
  output,        // expression
  branch,        // branches; body is the else
  loop,          // target, expression (what it runs over), condition (may be null), recursive, body, otherwise
  set,           // target, expression
  set_block,     // target, body, filters
  macro,         // macro
  call_block,    // macro (the caller), expression (the call)
  filter_block,  // filters, body
  with,          // targets with values in `assignments`, body
  scope,         // body, in a scope of its own
  break_loop,
  continue_loop,
};

struct Statement;
using Body = std::vector<Statement>;

struct MacroDefinition {
  std::string name;
  NameId name_id = 0;
  std::vector<std::pair<NameId, std::string>> parameters;
  std::vector<ExpressionPtr> defaults;  // of the last parameters
  bool uses_varargs = false;
  bool uses_kwargs = false;
  bool uses_caller = false;
  Body body;
};

struct Statement {
  StatementKind kind = StatementKind::text;
  std::uint32_t offset = 0;
  std::string text;
  Target target;
  ExpressionPtr expression;
  ExpressionPtr condition;
  bool recursive = false;
  std::vector<std::pair<ExpressionPtr, Body>> branches;
  std::vector<std::pair<Target, ExpressionPtr>> assignments;
  std::vector<ExpressionPtr> filters;
  std::unique_ptr<MacroDefinition> macro;
  Body body;
  Body otherwise;
};

// The names that the interpreter itself binds; they are interned first.
enum WellKnownName : NameId { name_loop, name_caller, name_varargs, name_kwargs, well_known_names };

struct Program {
  std::string source;  // for positions in errors
  std::vector<std::string> names;
  Body body;
};

// "3:14" for a byte of the source.
std::string position(const Program& program, std::uint32_t offset);

}  // namespace weft::text::jinja
