// Filters on numbers, `default`, and the table of all filters.
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "text/chat/builtins.h"
#include "text/chat/interpreter.h"
#include "text/chat/operators.h"
#include "text/chat/python_text.h"

namespace weft::text::jinja {
namespace {

Value default_filter(Interpreter&, const Value& value, Arguments& arguments) {
  const auto given = bind("default", arguments, {"default_value", "boolean"});
  const bool replaces = value.is_undefined() || (flag_argument(given[1], false) && !value.truthy());
  if (!replaces) return value;
  return given[0] != nullptr ? *given[0] : Value::string("");
}

std::optional<double> parse_real(std::string_view text) {
  text = strip_left(strip_right(text));
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_whole(std::string_view text, int base) {
  text = strip_left(strip_right(text));
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (base == 16 && (text.starts_with("0x") || text.starts_with("0X"))) text.remove_prefix(2);
  std::int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || text.front() == '-' || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size())
    return std::nullopt;
  return negative ? -value : value;
}

std::optional<std::int64_t> truncated(double value) {
  if (!(std::abs(value) < 9.2e18)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

Value int_filter(Interpreter&, const Value& value, Arguments& arguments) {
  const auto given = bind("int", arguments, {"default", "base"});
  const Value otherwise = given[0] != nullptr ? *given[0] : Value::integer(0);
  if (const auto* undefined = value.get<Undefined>()) throw fault("{}", undefined->message());
  if (const auto whole = value.whole()) return Value::integer(*whole);
  if (value.is_number()) {
    const auto whole = truncated(value.number());
    return whole ? Value::integer(*whole) : otherwise;
  }
  if (value.text() == nullptr) return otherwise;
  const std::int64_t base = whole_argument("int", given[1], 10);
  if (base < 2 || base > 36) throw fault("ValueError: int() base must be >= 2 and <= 36");
  if (const auto whole = parse_whole(*value.text(), static_cast<int>(base))) return Value::integer(*whole);
  if (const auto real = parse_real(*value.text()))
    if (const auto whole = truncated(*real)) return Value::integer(*whole);
  return otherwise;
}

Value float_filter(Interpreter&, const Value& value, Arguments& arguments) {
  const auto given = bind("float", arguments, {"default"});
  if (const auto* undefined = value.get<Undefined>()) throw fault("{}", undefined->message());
  if (value.is_number()) return Value::real(value.number());
  if (value.text() != nullptr)
    if (const auto real = parse_real(*value.text())) return Value::real(*real);
  return given[0] != nullptr ? *given[0] : Value::real(0.0);
}

Value abs_filter(Interpreter&, const Value& value, Arguments& arguments) {
  bind("abs", arguments, {});
  if (const auto* undefined = value.get<Undefined>()) throw fault("{}", undefined->message());
  if (!value.is_number()) throw fault("TypeError: bad operand type for abs(): '{}'", value.type_name());
  if (const auto whole = value.whole()) return *whole < 0 ? unary(Operation::negate, value) : Value::integer(*whole);
  return Value::real(std::abs(value.number()));
}

Value round_filter(Interpreter&, const Value& value, Arguments& arguments) {
  const auto given = bind("round", arguments, {"precision", "method"});
  if (const auto* undefined = value.get<Undefined>()) throw fault("{}", undefined->message());
  if (!value.is_number()) throw fault("TypeError: type {} doesn't define __round__ method", value.type_name());
  const std::int64_t precision = whole_argument("round", given[0], 0);
  const std::string method = given[1] != nullptr ? text_argument("round", given[1]) : "common";
  if (precision < -300 || precision > 300) return value;
  if (method == "common") {  // Python rounds the decimal digits, half to even
    if (value.whole() && precision >= 0) return Value::integer(*value.whole());
    if (value.whole()) {
      const double unit = std::pow(10.0, static_cast<double>(-precision));
      const auto whole = truncated(std::nearbyint(value.number() / unit) * unit);
      return Value::integer(whole.value_or(0));
    }
    if (precision >= 0) {
      const std::string digits = fmt::format("{:.{}f}", value.number(), static_cast<int>(precision));
      return Value::real(parse_real(digits).value_or(value.number()));
    }
  }
  if (method != "common" && method != "ceil" && method != "floor")
    throw fault("FilterArgumentError: method must be common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value.number() * scale;
  // Python's floor and ceil give whole numbers, among which there is no -0.
  return Value::real((method == "ceil"    ? std::ceil(scaled) + 0.0
                      : method == "floor" ? std::floor(scaled) + 0.0
                                          : std::nearbyint(scaled)) /
                     scale);
}

Value pprint(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("pprint", arguments, {"verbose"});
  return Value::string(to_repr(in.budget(), value));
}

}  // namespace

std::vector<NamedFilter> number_filters() {
  return {{"default", default_filter}, {"d", default_filter},   {"int", int_filter}, {"float", float_filter},
          {"abs", abs_filter},         {"round", round_filter}, {"pprint", pprint},  {"tojson", to_json}};
}

Filter find_filter(std::string_view name) {
  static const std::unordered_map<std::string_view, Filter> table = [] {
    std::unordered_map<std::string_view, Filter> all;
    for (const auto& part : {text_filters(), list_filters(), number_filters()})
      for (const NamedFilter& each : part)
        all.emplace(each.name, each.filter);
    return all;
  }();
  const auto found = table.find(name);
  return found != table.end() ? found->second : nullptr;
}

}  // namespace weft::text::jinja
