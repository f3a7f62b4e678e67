// str() and repr() as Python gives them.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/chat/python_text.h"
#include "text/chat/value.h"
#include "text/utf8.h"

namespace weft::text::jinja {
namespace {

void append_string_repr(const std::string& text, std::string& out) {
  const bool has_single = text.find('\'') != std::string::npos;
  const char quote = has_single && text.find('"') == std::string::npos ? '"' : '\'';
  out.push_back(quote);
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length] = code_point_at(text, at);
    if (c == '\\' || c == static_cast<char32_t>(quote)) {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '\r') {
      out.append("\\r");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (is_printable(c)) {
      out.append(text, at, length);
    } else {
      const auto code = static_cast<unsigned>(c);
      out.append(c < 0x100     ? fmt::format("\\x{:02x}", code)
                 : c < 0x10000 ? fmt::format("\\u{:04x}", code)
                               : fmt::format("\\U{:08x}", code));
    }
    at += length;
  }
  out.push_back(quote);
}

void append_repr(Budget& budget, const Value& value, std::string& out, int level);

template <class Items, class Append>
void append_items(Budget& budget, const Items& items, std::string& out, Append append) {
  bool first = true;
  for (const auto& item : items) {
    if (!first) out.append(", ");
    first = false;
    append(item);
    budget.check_length(out.size());
  }
}

void append_repr(Budget& budget, const Value& value, std::string& out, int level) {
  budget.spend(1);
  // Only a namespace can hold itself; everything else is bounded by deepest_value.
  if (level > 2 * deepest_value) throw Fault{ErrorCode::resource_exhausted, "a namespace that contains itself"};
  if (const auto* text = value.text()) {
    budget.spend_string(text->size());
    append_string_repr(*text, out);
  } else if (const auto* list = value.sequence(); list != nullptr && list->range) {
    const RangeBounds& range = *list->range;
    out.append(fmt::format("range({}, {}", range.start, range.stop));
    if (range.step != 1) out.append(fmt::format(", {}", range.step));
    out.push_back(')');
  } else if (list != nullptr) {
    out.push_back(list->is_tuple ? '(' : '[');
    append_items(budget, list->items, out, [&](const Value& item) { append_repr(budget, item, out, level + 1); });
    if (list->is_tuple && list->items.size() == 1) out.push_back(',');
    out.push_back(list->is_tuple ? ')' : ']');
  } else if (const auto* dict = value.dict()) {
    out.push_back('{');
    append_items(budget, dict->entries, out, [&](const auto& entry) {
      append_repr(budget, entry.first, out, level + 1);
      out.append(": ");
      append_repr(budget, entry.second, out, level + 1);
    });
    out.push_back('}');
  } else if (const auto* space = value.get<std::shared_ptr<Namespace>>()) {
    out.append("<Namespace {");
    append_items(budget, (*space)->attributes, out, [&](const auto& entry) {
      append_string_repr(entry.first, out);
      out.append(": ");
      append_repr(budget, entry.second, out, level + 1);
    });
    out.append("}>");
  } else if (value.is_undefined()) {
    out.append("Undefined");
  } else {
    append_text(budget, value, out);
  }
}

}  // namespace

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  const std::string_view shortest(buffer, static_cast<std::size_t>(end.ptr - buffer));
  const std::size_t e = shortest.find('e');
  int exponent = 0;
  std::from_chars(shortest.data() + e + (shortest[e + 1] == '+' ? 2 : 1), shortest.data() + shortest.size(), exponent);
  if (exponent < -4 || exponent >= 16)  // Python: 1e+16, 1.5e-05
    return fmt::format("{}e{}{:02}", shortest.substr(0, e), exponent < 0 ? '-' : '+', std::abs(exponent));
  const auto fixed_end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed);
  std::string fixed(buffer, fixed_end.ptr);
  return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
}

void append_text(Budget& budget, const Value& value, std::string& out) {
  budget.spend(1);
  if (value.is_undefined()) return;
  if (const auto* text = value.text()) {
    budget.check_length(out.size() + text->size());
    budget.spend_string(text->size());
    out.append(*text);
  } else if (value.is_none()) {
    out.append("None");
  } else if (const auto* flag = value.get<bool>()) {
    out.append(*flag ? "True" : "False");
  } else if (const auto* whole = value.get<std::int64_t>()) {
    out.append(std::to_string(*whole));
  } else if (const auto* real = value.get<double>()) {
    out.append(float_repr(*real));
  } else if (const auto* callable = value.get<std::shared_ptr<const Callable>>()) {
    out.append(fmt::format("<function {}>", (*callable)->name));
  } else if (value.get<std::shared_ptr<Loop>>() != nullptr) {
    out.append("<LoopContext>");
  } else if (value.get<std::shared_ptr<Cycler>>() != nullptr) {
    out.append("<Cycler>");
  } else {
    append_repr(budget, value, out, 0);
  }
}

std::string to_text(Budget& budget, const Value& value) {
  if (const auto* text = value.text()) {
    budget.spend_string(text->size());
    return *text;
  }
  std::string out;
  append_text(budget, value, out);
  return out;
}

std::string to_repr(Budget& budget, const Value& value) {
  std::string out;
  append_repr(budget, value, out, 0);
  return out;
}

}  // namespace weft::text::jinja
