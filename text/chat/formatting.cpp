// "%s" % x and "{}".format(x).
#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/chat/operators.h"
#include "text/chat/python_text.h"

namespace weft::text::jinja {
namespace {

constexpr std::int64_t widest_field = 10'000;

// [[fill]align][sign][#][0][width][,][.precision][type], as Python's format specification and % share it.
struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =
  char sign = '-';
  bool alternate = false;
  bool group = false;
  std::int64_t width = 0;
  std::int64_t precision = -1;
  char type = '\0';
};

std::int64_t read_number(std::string_view text, std::size_t& at) {
  std::int64_t number = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
    if (number <= widest_field) number = number * 10 + (text[at] - '0');
  if (number > widest_field) throw fault("ValueError: a format wider than {}", widest_field);
  return number;
}

std::string padded(const Budget& budget, const std::string& text, const Spec& spec, char otherwise) {
  const auto length = static_cast<std::int64_t>(count_characters(text));
  if (length >= spec.width) return text;
  const std::int64_t room = spec.width - length;
  const char align = spec.align == '\0' ? otherwise : spec.align;
  const std::int64_t left = align == '<' ? 0 : align == '^' ? room / 2 : room;
  const auto fill = [&](std::int64_t count) {
    std::string out;
    for (std::int64_t i = 0; i < count; ++i)
      out += spec.fill;
    return out;
  };
  budget.check_length(text.size() + static_cast<std::size_t>(room) * spec.fill.size());
  if (align == '=') {
    const std::size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ') ? 1 : 0;
    return text.substr(0, sign) + fill(room) + text.substr(sign);
  }
  return fill(left) + text + fill(room - left);
}

std::string grouped(const std::string& digits) {
  std::string out;
  const std::size_t end = std::min(digits.find_first_of(".e"), digits.size());
  for (std::size_t i = 0; i < end; ++i) {
    if (i > 0 && (end - i) % 3 == 0) out.push_back(',');
    out.push_back(digits[i]);
  }
  return out + digits.substr(end);
}

std::string whole_digits(const Spec& spec, std::uint64_t magnitude) {
  switch (spec.type) {
    case 'x': return fmt::format("{}{:x}", spec.alternate ? "0x" : "", magnitude);
    case 'X': return fmt::format("{}{:X}", spec.alternate ? "0X" : "", magnitude);
    case 'o': return fmt::format("{}{:o}", spec.alternate ? "0o" : "", magnitude);
    case 'b': return fmt::format("{}{:b}", spec.alternate ? "0b" : "", magnitude);
    default: return fmt::format("{}", magnitude);
  }
}

std::string real_digits(const Spec& spec, double magnitude) {
  const int precision = static_cast<int>(std::min<std::int64_t>(spec.precision, 400));
  const int digits = precision < 0 ? 6 : precision;
  switch (spec.type) {
    case 'f':
    case 'F': return fmt::format("{:.{}f}", magnitude, digits);
    case 'e': return fmt::format("{:.{}e}", magnitude, digits);
    case 'E': return fmt::format("{:.{}E}", magnitude, digits);
    case 'g': return fmt::format("{:.{}g}", magnitude, digits);
    case 'G': return fmt::format("{:.{}G}", magnitude, digits);
    case '%': return fmt::format("{:.{}f}%", magnitude * 100, digits);
    default: return precision < 0 ? float_repr(magnitude) : fmt::format("{:.{}g}", magnitude, digits);
  }
}

std::string formatted_number(const Budget& budget, const Value& value, const Spec& spec) {
  static constexpr std::string_view real_types = "fFeEgG%";
  const bool real = !value.whole() || real_types.find(spec.type) != std::string_view::npos;
  if (real && std::string_view("dxXob").find(spec.type) != std::string_view::npos && spec.type != '\0')
    throw fault("ValueError: Unknown format code '{}' for object of type 'float'", spec.type);
  const bool negative = value.whole() ? *value.whole() < 0 : std::signbit(value.number());
  std::string digits;
  if (real) {
    digits = real_digits(spec, std::abs(value.number()));
  } else {
    const auto bits = static_cast<std::uint64_t>(*value.whole());
    digits = whole_digits(spec, negative ? ~bits + 1 : bits);
  }
  if (spec.group) digits = grouped(digits);
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  return padded(budget, sign + digits, spec, '>');
}

std::string formatted(Budget& budget, const Value& value, const Spec& spec) {
  const bool as_text = spec.type == '\0' || spec.type == 's';
  if (value.is_number() && spec.type != 's') return formatted_number(budget, value, spec);
  if (!as_text)
    throw fault("ValueError: Unknown format code '{}' for object of type '{}'", spec.type, value.type_name());
  std::string text = to_text(budget, value);
  if (spec.precision >= 0) text = slice_text(text, std::nullopt, spec.precision, 1);
  return padded(budget, text, spec, '<');
}

Spec parse_spec(std::string_view text) {
  Spec spec;
  std::size_t at = 0;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  if (!text.empty()) {
    const std::size_t first = code_point_at(text, 0).length;
    if (first < text.size() && is_align(text[first])) {
      spec.fill = text.substr(0, first);
      spec.align = text[first];
      at = first + 1;
    } else if (is_align(text[0])) {
      spec.align = text[0];
      at = 1;
    }
  }
  const auto take = [&](char c) { return at < text.size() && text[at] == c ? (++at, true) : false; };
  for (const char sign : {'+', '-', ' '})
    if (take(sign)) spec.sign = sign;
  spec.alternate = take('#');
  if (take('0') && spec.align == '\0') {
    spec.fill = "0";
    spec.align = '=';
  }
  spec.width = read_number(text, at);
  spec.group = take(',');
  if (take('.')) spec.precision = read_number(text, at);
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) throw fault("ValueError: Invalid format specifier '{}'", text);
  return spec;
}

// "name", "0", "user.name", "items[0]"
Value field_value(std::string_view field, const Arguments& arguments, std::size_t& automatic) {
  const std::size_t end = field.find_first_of(".[");
  if (end != std::string_view::npos) throw fault("ValueError: '{}' in a format; expected a name or a number", field);
  std::size_t index = 0;
  if (field.empty()) {
    index = automatic++;
  } else if (std::all_of(field.begin(), field.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    if (std::from_chars(field.data(), field.data() + field.size(), index).ec != std::errc()) index = SIZE_MAX;
  } else {
    for (const auto& [name, value] : arguments.named)
      if (name == field) return value;
    throw fault("KeyError: '{}'", field);
  }
  if (index >= arguments.positional.size())
    throw fault("IndexError: Replacement index {} out of range for positional args tuple", index);
  return arguments.positional[index];
}

}  // namespace

std::string brace_format(Budget& budget, const std::string& format, const Arguments& arguments) {
  std::string out;
  std::size_t automatic = 0;
  for (std::size_t at = 0; at < format.size();) {
    const char c = format[at];
    if ((c == '{' || c == '}') && at + 1 < format.size() && format[at + 1] == c) {
      out.push_back(c);
      at += 2;
    } else if (c == '}') {
      throw fault("ValueError: Single '}}' encountered in format string");
    } else if (c == '{') {
      const std::size_t end = format.find('}', at);
      if (end == std::string::npos) throw fault("ValueError: Single '{{' encountered in format string");
      const std::string_view field = std::string_view(format).substr(at + 1, end - at - 1);
      const std::size_t colon = field.find(':');
      std::string_view name = field.substr(0, colon);
      const bool repr = name.ends_with("!r");
      if (repr || name.ends_with("!s")) name.remove_suffix(2);
      Value value = field_value(name, arguments, automatic);
      if (repr) value = Value::string(to_repr(budget, value));
      if (colon == std::string_view::npos)
        append_text(budget, value, out);
      else
        out += formatted(budget, value, parse_spec(field.substr(colon + 1)));
      at = end + 1;
    } else {
      out.push_back(c);
      ++at;
    }
    budget.check_length(out.size());
  }
  budget.spend_string(out.size());
  return out;
}

std::string percent_format(Budget& budget, const std::string& format, const Value& arguments) {
  const List* tuple =
      arguments.sequence() != nullptr && arguments.sequence()->is_tuple ? arguments.sequence() : nullptr;
  std::size_t used = 0;
  const auto next = [&]() -> Value {
    if (tuple == nullptr && used++ == 0) return arguments;
    if (tuple == nullptr || used >= tuple->items.size())
      throw fault("TypeError: not enough arguments for format string");
    return tuple->items[used++];
  };
  bool by_name = false;
  std::string out;
  for (std::size_t at = 0; at < format.size(); ++at) {
    budget.check_length(out.size());
    if (format[at] != '%') {
      out.push_back(format[at]);
      continue;
    }
    Spec spec;
    std::optional<Value> named;
    if (++at < format.size() && format[at] == '(') {
      const std::size_t end = format.find(')', at);
      const std::string key = end == std::string::npos ? std::string() : format.substr(at + 1, end - at - 1);
      const Value* found = arguments.dict() != nullptr ? arguments.dict()->find(std::string_view(key)) : nullptr;
      if (found == nullptr) throw fault("KeyError: '{}'", key);
      named = *found;
      by_name = true;
      at = end + 1;
    }
    for (; at < format.size() && std::string_view("#0- +").find(format[at]) != std::string_view::npos; ++at) {
      if (format[at] == '-') spec.align = '<';
      if (format[at] == '0' && spec.align == '\0') spec.fill = "0", spec.align = '=';
      if (format[at] == '+' || format[at] == ' ') spec.sign = format[at];
    }
    spec.width = read_number(format, at);
    if (at < format.size() && format[at] == '.') spec.precision = read_number(format, ++at);
    if (at >= format.size()) throw fault("ValueError: incomplete format");
    if (format[at] == '%') {
      out.push_back('%');
      continue;
    }
    const char type = format[at];
    if (std::string_view("sradifFeEgGxXo").find(type) == std::string_view::npos)
      throw fault("ValueError: unsupported format character '{}'", type);
    Value value = named ? *named : next();
    spec.type = type == 'i' ? 'd' : type;
    if (type == 's' || type == 'r' || type == 'a') {
      spec.type = 's';
      if (spec.align == '\0') spec.align = '>';
      if (type != 's') value = Value::string(to_repr(budget, value));
    } else if (!value.is_number()) {
      throw fault("TypeError: %{} format: a real number is required, not {}", type, value.type_name());
    } else if (spec.type == 'd' && !value.whole()) {
      value = Value::integer(static_cast<std::int64_t>(std::clamp(value.number(), -9.2e18, 9.2e18)));
    }
    out += formatted(budget, value, spec);
  }
  if (!by_name && arguments.dict() == nullptr && used < (tuple != nullptr ? tuple->items.size() : 1))
    throw fault("TypeError: not all arguments converted during string formatting");
  budget.spend_string(out.size());
  return out;
}

}  // namespace weft::text::jinja
