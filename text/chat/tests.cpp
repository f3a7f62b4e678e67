// What stands behind `is`.
#include <cmath>
#include <unordered_map>

#include "text/chat/builtins.h"
#include "text/chat/interpreter.h"
#include "text/chat/letter_case.h"
#include "text/chat/operators.h"
#include "text/chat/python_text.h"

namespace weft::text::jinja {
namespace {

using Predicate = bool (*)(const Value&);

template <Predicate Holds>
bool plain(Interpreter&, const Value& value, Arguments& arguments) {
  bind("a test", arguments, {});
  return Holds(value);
}

template <Operation Sign>
bool compares(Interpreter& in, const Value& value, Arguments& arguments) {
  return compare(in.budget(), Sign, value, *bind("a test", arguments, {"other"}, 1)[0]);
}

bool is_defined(const Value& value) { return !value.is_undefined(); }
bool is_undefined(const Value& value) { return value.is_undefined(); }
bool is_none(const Value& value) { return value.is_none(); }
bool is_string(const Value& value) { return value.text() != nullptr; }
bool is_mapping(const Value& value) { return value.dict() != nullptr; }
bool is_a_number(const Value& value) { return value.is_number(); }
bool is_integer(const Value& value) { return value.get<std::int64_t>() != nullptr; }
bool is_float(const Value& value) { return value.get<double>() != nullptr; }
bool is_boolean(const Value& value) { return value.get<bool>() != nullptr; }
bool is_true(const Value& value) { return value.get<bool>() != nullptr && *value.get<bool>(); }
bool is_false(const Value& value) { return value.get<bool>() != nullptr && !*value.get<bool>(); }
// An undefined value has a length and can be run over; Jinja's Undefined is both of these too.
bool is_sequence(const Value& value) {
  return value.text() != nullptr || value.sequence() != nullptr || value.dict() != nullptr || value.is_undefined();
}
bool is_iterable(const Value& value) { return is_sequence(value) || value.get<std::shared_ptr<Loop>>() != nullptr; }
bool is_callable(const Value& value) {
  return value.get<std::shared_ptr<const Callable>>() != nullptr || value.is_undefined();
}
bool is_escaped(const Value&) { return false; }
bool is_upper_text(const Value& value) { return value.text() != nullptr && is_upper(*value.text()); }
bool is_lower_text(const Value& value) { return value.text() != nullptr && is_lower(*value.text()); }

Value remainder(Interpreter& in, const Value& value, const Value& divisor) {
  return binary(in.budget(), Operation::modulo, value, divisor);
}

bool is_even(Interpreter& in, const Value& value, Arguments&) {
  return !remainder(in, value, Value::integer(2)).truthy();
}
bool is_odd(Interpreter& in, const Value& value, Arguments&) {
  return remainder(in, value, Value::integer(2)).truthy();
}
bool divisible_by(Interpreter& in, const Value& value, Arguments& arguments) {
  return !remainder(in, value, *bind("divisibleby", arguments, {"num"}, 1)[0]).truthy();
}

bool same_as(Interpreter& in, const Value& value, Arguments& arguments) {
  const Value& other = *bind("sameas", arguments, {"other"}, 1)[0];
  return std::string_view(value.type_name()) == other.type_name() && equal(in.budget(), value, other);
}

bool is_in(Interpreter& in, const Value& value, Arguments& arguments) {
  return contains(in.budget(), *bind("in", arguments, {"seq"}, 1)[0], value);
}

bool names_filter(Interpreter&, const Value& value, Arguments&) {
  return value.text() != nullptr && find_filter(*value.text()) != nullptr;
}
bool names_test(Interpreter&, const Value& value, Arguments&) {
  return value.text() != nullptr && find_test(*value.text()) != nullptr;
}

}  // namespace

Test find_test(std::string_view name) {
  static const std::unordered_map<std::string_view, Test> table = {
      {"defined", plain<is_defined>},
      {"undefined", plain<is_undefined>},
      {"none", plain<is_none>},
      {"string", plain<is_string>},
      {"mapping", plain<is_mapping>},
      {"number", plain<is_a_number>},
      {"integer", plain<is_integer>},
      {"float", plain<is_float>},
      {"boolean", plain<is_boolean>},
      {"true", plain<is_true>},
      {"false", plain<is_false>},
      {"sequence", plain<is_sequence>},
      {"iterable", plain<is_iterable>},
      {"callable", plain<is_callable>},
      {"escaped", plain<is_escaped>},
      {"upper", plain<is_upper_text>},
      {"lower", plain<is_lower_text>},
      {"even", is_even},
      {"odd", is_odd},
      {"divisibleby", divisible_by},
      {"sameas", same_as},
      {"in", is_in},
      {"filter", names_filter},
      {"test", names_test},
      {"==", compares<Operation::equal>},
      {"eq", compares<Operation::equal>},
      {"equalto", compares<Operation::equal>},
      {"!=", compares<Operation::not_equal>},
      {"ne", compares<Operation::not_equal>},
      {"<", compares<Operation::less>},
      {"lt", compares<Operation::less>},
      {"lessthan", compares<Operation::less>},
      {"<=", compares<Operation::less_equal>},
      {"le", compares<Operation::less_equal>},
      {">", compares<Operation::greater>},
      {"gt", compares<Operation::greater>},
      {"greaterthan", compares<Operation::greater>},
      {">=", compares<Operation::greater_equal>},
      {"ge", compares<Operation::greater_equal>},
  };
  const auto found = table.find(name);
  return found != table.end() ? found->second : nullptr;
}

}  // namespace weft::text::jinja
