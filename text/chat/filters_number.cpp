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

// Python's numbers may have single underscores between digits.
std::optional<std::string> without_underscores(std::string_view text) {
  const auto is_alphanumeric = [](char c) {
    return c != '_' && static_cast<unsigned char>(c) < 0x80 && is_word(static_cast<unsigned char>(c));
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out.push_back(text[i]);
    } else if (i == 0 || i + 1 == text.size() || !is_alphanumeric(text[i - 1]) || !is_alphanumeric(text[i + 1])) {
      return std::nullopt;
    }
  }
  return out;
}

std::optional<double> parse_real(std::string_view given) {
  const auto plain = without_underscores(strip_left(strip_right(given)));
  if (!plain) return std::nullopt;
  std::string_view text = *plain;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

[[noreturn]] void refuse_large() { throw fault("OverflowError: a whole number beyond 64 bits"); }

// The base that "0x", "0o" or "0b" in front stands for; 0: there is no such mark.
int marked_base(std::string_view text) {
  if (text.size() < 2 || text[0] != '0') return 0;
  const char mark = static_cast<char>(text[1] | 0x20);
  return mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
}

// int(text, base); base 0: as the mark in front says, else 10.
std::optional<std::int64_t> parse_whole(std::string_view given, int base) {
  const auto plain = without_underscores(strip_left(strip_right(given)));
  if (!plain) return std::nullopt;
  std::string_view text = *plain;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const int marked = marked_base(text);
  if (marked != 0 && (base == marked || base == 0)) {
    text.remove_prefix(2);
    base = marked;
  } else if (base == 0) {
    base = 10;
    if (text.size() > 1 && text.front() == '0' && text.find_first_not_of('0') != std::string_view::npos)
      return std::nullopt;
  }
  std::int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || text.front() == '-' || parsed.ptr != text.data() + text.size()) return std::nullopt;
  if (parsed.ec == std::errc::result_out_of_range) refuse_large();
  if (parsed.ec != std::errc()) return std::nullopt;
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
  const auto of_real = [&](double real) {
    if (std::isnan(real)) return otherwise;
    const auto whole = truncated(real);
    if (!whole) refuse_large();
    return Value::integer(*whole);
  };
  if (value.is_number()) return of_real(value.number());
  if (value.text() == nullptr) return otherwise;
  const std::int64_t base = whole_argument("int", given[1], 10);
  const bool is_base = base == 0 || (base >= 2 && base <= 36);  // with another one only what float() reads counts
  if (is_base)
    if (const auto whole = parse_whole(*value.text(), static_cast<int>(base))) return Value::integer(*whole);
  const auto real = parse_real(*value.text());
  return real && !std::isinf(*real) ? of_real(*real) : otherwise;
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

Value filesizeformat(Interpreter&, const Value& value, Arguments& arguments) {
  const auto given = bind("filesizeformat", arguments, {"binary"});
  if (const auto* undefined = value.get<Undefined>()) throw fault("{}", undefined->message());
  const auto number = value.is_number()         ? std::optional(value.number())
                      : value.text() != nullptr ? parse_real(*value.text())
                                                : std::nullopt;
  if (!number) throw fault("ValueError: filesizeformat of a '{}' that is no number", value.type_name());
  const bool binary = flag_argument(given[0], false);
  const double base = binary ? 1024 : 1000;
  if (*number == 1) return Value::string("1 Byte");
  if (*number < base) {
    const auto whole = truncated(*number);
    if (!whole) refuse_large();
    return Value::string(fmt::format("{} Bytes", *whole));
  }
  constexpr std::string_view prefixes = "kMGTPEZY";
  long double unit =
      static_cast<long double>(base) * base;  // powers of 1000 up to the ninth, which a double does not hold
  std::size_t i = 0;
  for (; i + 1 < prefixes.size() && !(*number < unit); ++i)
    unit *= base;
  const char prefix = binary && i == 0 ? 'K' : prefixes[i];
  return Value::string(
      fmt::format("{:.1f} {}{}", base * *number / static_cast<double>(unit), prefix, binary ? "iB" : "B"));
}

Value pprint(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("pprint", arguments, {"verbose"});
  return Value::string(to_repr(in.budget(), value));
}

}  // namespace

std::vector<NamedFilter> number_filters() {
  return {{"default", default_filter}, {"d", default_filter}, {"int", int_filter},
          {"float", float_filter},     {"abs", abs_filter},   {"round", round_filter},
          {"pprint", pprint},          {"tojson", to_json},   {"filesizeformat", filesizeformat}};
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

Fault no_filter(std::string_view name) {
  for (const std::string_view known : {"random", "striptags", "urlize", "wordwrap", "xmlattr"})
    if (name == known) return fault("Jinja's filter '{}' is not in this version", name);
  return fault("TemplateRuntimeError: No filter named '{}' found.", name);
}

}  // namespace weft::text::jinja
