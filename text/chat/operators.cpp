#include "text/chat/operators.h"

#include <algorithm>
#include <cmath>

#include "text/chat/python_text.h"
#include "text/utf8.h"

namespace weft::text::jinja {
namespace {

const char* sign_of(Operation operation) {
  switch (operation) {
    case Operation::add: return "+";
    case Operation::subtract: return "-";
    case Operation::multiply: return "*";
    case Operation::divide: return "/";
    case Operation::floor_divide: return "//";
    case Operation::modulo: return "%";
    case Operation::power: return "** or pow()";
    case Operation::less: return "<";
    case Operation::less_equal: return "<=";
    case Operation::greater: return ">";
    case Operation::greater_equal: return ">=";
    default: return "?";
  }
}

[[noreturn]] void refuse_operands(Operation operation, const Value& left, const Value& right) {
  if (operation == Operation::add && left.text() != nullptr)
    throw fault("TypeError: can only concatenate str (not \"{}\") to str", right.type_name());
  if (operation == Operation::add && left.sequence() != nullptr && !left.sequence()->range)
    throw fault("TypeError: can only concatenate {0} (not \"{1}\") to {0}", left.type_name(), right.type_name());
  throw fault("TypeError: unsupported operand type(s) for {}: '{}' and '{}'", sign_of(operation), left.type_name(),
              right.type_name());
}

void refuse_undefined(const Value& value) {
  if (const auto* undefined = value.get<Undefined>()) throw fault("{}", undefined->message());
}

// By reference: the value is read after the arithmetic that stands beside it among the arguments.
std::int64_t checked(bool overflowed, const std::int64_t& value) {
  if (overflowed) throw fault("OverflowError: a whole number beyond 64 bits");
  return value;
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  const std::int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

Value power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) return Value::real(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  std::int64_t result = 1;
  while (exponent > 0) {
    if (exponent % 2 == 1) result = checked(__builtin_mul_overflow(result, base, &result), result);
    exponent /= 2;
    if (exponent > 0) base = checked(__builtin_mul_overflow(base, base, &base), base);
  }
  return Value::integer(result);
}

Value whole_arithmetic(Operation operation, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (operation) {
    case Operation::add: return Value::integer(checked(__builtin_add_overflow(a, b, &result), result));
    case Operation::subtract: return Value::integer(checked(__builtin_sub_overflow(a, b, &result), result));
    case Operation::multiply: return Value::integer(checked(__builtin_mul_overflow(a, b, &result), result));
    case Operation::power: return power(a, b);
    default: break;
  }
  if (b == 0) throw fault("ZeroDivisionError: division by zero");
  if (operation == Operation::divide) return Value::real(static_cast<double>(a) / static_cast<double>(b));
  checked(a == INT64_MIN && b == -1, 0);
  if (operation == Operation::floor_divide) return Value::integer(floor_divide(a, b));
  return Value::integer(a - floor_divide(a, b) * b);
}

Value real_arithmetic(Operation operation, double a, double b) {
  switch (operation) {
    case Operation::add: return Value::real(a + b);
    case Operation::subtract: return Value::real(a - b);
    case Operation::multiply: return Value::real(a * b);
    case Operation::power: return Value::real(std::pow(a, b));
    default: break;
  }
  if (b == 0) throw fault("ZeroDivisionError: float division by zero");
  if (operation == Operation::divide) return Value::real(a / b);
  // As CPython's float_divmod: the quotient comes of the rest, since a / b may round up to the next whole number (1.0 // 0.1 is 9),
  // and a rest of zero has the divisor's sign.
  double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest == 0) {
    rest = std::copysign(0.0, b);
  } else if ((rest < 0) != (b < 0)) {
    rest += b;
    quotient -= 1;
  }
  if (operation != Operation::floor_divide) return Value::real(rest);
  if (quotient == 0) return Value::real(std::copysign(0.0, a / b));
  const double below = std::floor(quotient);
  return Value::real(quotient - below > 0.5 ? below + 1 : below);
}

Value repeat(Budget& budget, const Value& value, std::int64_t times) {
  const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(times, 0));
  if (const std::string* text = value.text()) {
    if (!text->empty() && count > SIZE_MAX / text->size()) budget.spend_string(SIZE_MAX);
    budget.spend_string(text->size() * count);
    std::string out;
    out.reserve(text->size() * count);
    for (std::uint64_t i = 0; i < count && !text->empty(); ++i)
      out.append(*text);
    return Value::string(std::move(out));
  }
  const List& list = *value.sequence();
  if (!list.items.empty() && count > UINT64_MAX / list.items.size()) budget.spend(UINT64_MAX);
  budget.spend(list.items.size() * count);
  std::vector<Value> items;
  for (std::uint64_t i = 0; i < count && !list.items.empty(); ++i)
    items.insert(items.end(), list.items.begin(), list.items.end());
  return list.is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items));
}

// The bounds of a range's slice, which is a range again.
RangeBounds part_of(const RangeBounds& range, const Slice& slice) {
  const auto at = [&](std::int64_t index) {
    std::int64_t moved = 0;
    moved = checked(__builtin_mul_overflow(index, range.step, &moved), moved);
    return checked(__builtin_add_overflow(range.start, moved, &moved), moved);
  };
  std::int64_t step = 0;
  step = checked(__builtin_mul_overflow(range.step, slice.step, &step), step);
  return {.start = at(slice.start), .stop = at(slice.stop), .step = step};
}

std::optional<std::int64_t> slice_bound(const Value& value) {
  if (value.is_none()) return std::nullopt;
  if (const auto whole = value.whole()) return whole;
  refuse_undefined(value);
  throw fault("TypeError: slice indices must be integers or None, not '{}'", value.type_name());
}

}  // namespace

Value binary(Budget& budget, Operation operation, const Value& left, const Value& right) {
  if (operation == Operation::modulo && left.text() != nullptr)
    return Value::string(percent_format(budget, *left.text(), right));
  refuse_undefined(left);
  refuse_undefined(right);
  if (left.is_number() && right.is_number()) {
    if (left.whole() && right.whole()) return whole_arithmetic(operation, *left.whole(), *right.whole());
    return real_arithmetic(operation, left.number(), right.number());
  }
  if (operation == Operation::add && left.text() != nullptr && right.text() != nullptr) {
    budget.spend_string(left.text()->size() + right.text()->size());
    return Value::string(*left.text() + *right.text());
  }
  if (operation == Operation::add && left.sequence() != nullptr && right.sequence() != nullptr &&
      left.sequence()->is_like(*right.sequence()) && !left.sequence()->range) {
    std::vector<Value> items = left.sequence()->items;
    const auto& more = right.sequence()->items;
    budget.spend(items.size() + more.size());
    items.insert(items.end(), more.begin(), more.end());
    return left.sequence()->is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items));
  }
  if (operation == Operation::multiply) {
    const auto repeats = [](const Value& value) {
      return value.text() != nullptr || (value.sequence() != nullptr && !value.sequence()->range);
    };
    if (repeats(left) && right.whole()) return repeat(budget, left, *right.whole());
    if (repeats(right) && left.whole()) return repeat(budget, right, *left.whole());
  }
  refuse_operands(operation, left, right);
}

Value unary(Operation operation, const Value& operand) {
  refuse_undefined(operand);
  if (!operand.is_number())
    throw fault("TypeError: bad operand type for unary {}: '{}'", operation == Operation::negate ? "-" : "+",
                operand.type_name());
  if (const auto whole = operand.whole()) {
    if (operation == Operation::negate) checked(*whole == INT64_MIN, 0);
    return Value::integer(operation == Operation::negate ? -*whole : *whole);
  }
  return Value::real(operation == Operation::negate ? -operand.number() : operand.number());
}

bool compare(Budget& budget, Operation operation, const Value& left, const Value& right) {
  switch (operation) {
    case Operation::equal: return equal(budget, left, right);
    case Operation::not_equal: return !equal(budget, left, right);
    case Operation::in: return contains(budget, right, left);
    case Operation::not_in: return !contains(budget, right, left);
    default: break;
  }
  if (left.is_number() && right.is_number() && (std::isnan(left.number()) || std::isnan(right.number()))) return false;
  const int result = order(budget, left, right, sign_of(operation));
  switch (operation) {
    case Operation::less: return result < 0;
    case Operation::less_equal: return result <= 0;
    case Operation::greater: return result > 0;
    default: return result >= 0;
  }
}

bool contains(Budget& budget, const Value& container, const Value& item) {
  if (container.is_undefined()) return false;
  if (const std::string* text = container.text()) {
    const std::string* part = item.text();
    if (part == nullptr)
      throw fault("TypeError: 'in <string>' requires string as left operand, not {}", item.type_name());
    budget.spend(text->size() / 16);
    return text->find(*part) != std::string::npos;
  }
  if (const List* list = container.sequence())
    return std::any_of(list->items.begin(), list->items.end(),
                       [&](const Value& each) { return equal(budget, each, item); });
  if (const Dict* dict = container.dict()) {
    budget.spend(dict->entries.size() / 8);
    return dict->find(item) != nullptr;
  }
  throw fault("TypeError: argument of type '{}' is not iterable", container.type_name());
}

Value slice_of(Budget& budget, const Value& subject, const Value& start, const Value& stop, const Value& step) {
  refuse_undefined(subject);
  const auto first = slice_bound(start);
  const auto last = slice_bound(stop);
  const std::int64_t stride = slice_bound(step).value_or(1);
  if (stride == 0) throw fault("ValueError: slice step cannot be zero");
  if (const std::string* text = subject.text()) {
    budget.spend_string(text->size());
    return Value::string(slice_text(*text, first, last, stride));
  }
  const List* list = subject.sequence();
  if (list == nullptr) throw fault("TypeError: '{}' object is not subscriptable", subject.type_name());
  const Slice slice = resolve_slice(first, last, stride, static_cast<std::int64_t>(list->items.size()));
  budget.spend(static_cast<std::uint64_t>(slice.count));
  std::vector<Value> items;
  std::int64_t at = slice.start;
  for (std::int64_t i = 0; i < slice.count; ++i) {
    items.push_back(list->items[static_cast<std::size_t>(at)]);
    if (i + 1 < slice.count) at += slice.step;
  }
  if (list->range) return Value::range(std::move(items), part_of(*list->range, slice));
  return list->is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items));
}

std::int64_t length_of(Budget& budget, const Value& value) {
  if (value.is_undefined()) return 0;
  if (const std::string* text = value.text()) {
    budget.spend(text->size() / 64);
    return static_cast<std::int64_t>(count_characters(*text));
  }
  if (const List* list = value.sequence()) return static_cast<std::int64_t>(list->items.size());
  if (const Dict* dict = value.dict()) return static_cast<std::int64_t>(dict->entries.size());
  if (const auto* loop = value.get<std::shared_ptr<Loop>>()) return static_cast<std::int64_t>((*loop)->items.size());
  throw fault("TypeError: object of type '{}' has no len()", value.type_name());
}

}  // namespace weft::text::jinja
