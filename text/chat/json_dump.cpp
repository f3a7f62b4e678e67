// tojson: Python's json.dumps with ensure_ascii off, unescaped for HTML, as transformers defines it for chat templates.
#include <algorithm>
#include <cmath>

#include "text/chat/builtins.h"
#include "text/chat/interpreter.h"
#include "text/chat/python_text.h"

namespace weft::text::jinja {
namespace {

struct Style {
  bool ascii = false;
  bool sort_keys = false;
  bool indented = false;
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

void append_unit(std::string& out, unsigned unit) { out += fmt::format("\\u{:04x}", unit); }

void append_string(const std::string& text, const Style& style, std::string& out) {
  out.push_back('"');
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length] = code_point_at(text, at);
    static constexpr std::string_view escaped = "\"\\\n\r\t\f\b";
    static constexpr std::string_view letters = "\"\\nrtfb";
    if (const std::size_t found = c < 0x80 ? escaped.find(static_cast<char>(c)) : std::string_view::npos;
        found != std::string_view::npos) {
      out.push_back('\\');
      out.push_back(letters[found]);
    } else if (c < 0x20 || (style.ascii && c >= 0x7F && c < 0x10000)) {
      append_unit(out, static_cast<unsigned>(c));
    } else if (style.ascii && c >= 0x10000) {
      append_unit(out, static_cast<unsigned>(0xD800 + ((c - 0x10000) >> 10)));
      append_unit(out, static_cast<unsigned>(0xDC00 + ((c - 0x10000) & 0x3FF)));
    } else {
      out.append(text, at, length);
    }
    at += length;
  }
  out.push_back('"');
}

std::string number_text(const Value& value) {
  if (const auto* flag = value.get<bool>()) return *flag ? "true" : "false";
  if (const auto whole = value.whole()) return std::to_string(*whole);
  const double real = value.number();
  if (std::isnan(real)) return "NaN";
  if (std::isinf(real)) return real < 0 ? "-Infinity" : "Infinity";
  return float_repr(real);
}

class Writer {
 public:
  Writer(Budget& budget, const Style& style) : budget_(budget), style_(style) {}

  void write(const Value& value, int level) {
    budget_.spend(1);
    budget_.check_length(out_.size());
    if (value.is_none()) {
      out_ += "null";
    } else if (value.is_number()) {
      out_ += number_text(value);
    } else if (const std::string* text = value.text()) {
      budget_.spend_string(text->size());
      append_string(*text, style_, out_);
    } else if (const List* list = value.sequence(); list != nullptr && !list->range) {
      items('[', ']', list->items, level, [&](const Value& item) { write(item, level + 1); });
    } else if (const Dict* dict = value.dict()) {
      write_dict(*dict, level);
    } else {
      throw fault("TypeError: Object of type {} is not JSON serializable", value.type_name());
    }
  }

  std::string take() { return std::move(out_); }

 private:
  template <class Items, class Write>
  void items(char open, char close, const Items& all, int level, Write write_one) {
    out_.push_back(open);
    bool first = true;
    for (const auto& item : all) {
      if (!first) out_ += style_.item_separator;
      first = false;
      new_line(level + 1);
      write_one(item);
    }
    if (!first) new_line(level);
    out_.push_back(close);
  }

  void new_line(int level) {
    if (!style_.indented) return;
    out_.push_back('\n');
    for (int i = 0; i < level; ++i)
      out_ += style_.indent;
    budget_.spend(1 + static_cast<std::uint64_t>(level) * style_.indent.size() / 16);
    budget_.check_length(out_.size());
  }

  void write_dict(const Dict& dict, int level) {
    std::vector<std::pair<std::string, const Value*>> entries;
    budget_.spend(dict.entries.size());
    for (const auto& [key, value] : dict.entries) {
      if (key.text() != nullptr)
        entries.emplace_back(*key.text(), &value);
      else if (key.is_number() || key.is_none())
        entries.emplace_back(key.is_none() ? "null" : number_text(key), &value);
      else
        throw fault("TypeError: keys must be str, int, float, bool or None, not {}", key.type_name());
    }
    if (style_.sort_keys)
      std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    items('{', '}', entries, level, [&](const auto& entry) {
      budget_.spend_string(entry.first.size());
      append_string(entry.first, style_, out_);
      out_ += style_.key_separator;
      write(*entry.second, level + 1);
    });
  }

  Budget& budget_;
  const Style& style_;
  std::string out_;
};

}  // namespace

Value to_json(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  Style style;
  style.ascii = flag_argument(given[0], false);
  style.sort_keys = flag_argument(given[3], false);
  if (given[1] != nullptr && !given[1]->is_none()) {
    style.indented = true;
    style.item_separator = std::string(1, ',');
    if (given[1]->text() != nullptr) {
      style.indent = *given[1]->text();
    } else {
      const std::int64_t width = std::max<std::int64_t>(whole_argument("tojson", given[1], 0), 0);
      in.budget().spend_string(static_cast<std::size_t>(width));
      style.indent.assign(static_cast<std::size_t>(width), ' ');
    }
  }
  if (given[2] != nullptr && !given[2]->is_none()) {
    const std::vector<Value> separators = iterate(in.budget(), *given[2]);
    if (separators.size() != 2) throw fault("ValueError: separators: expected two strings");
    style.item_separator = text_argument("tojson", &separators[0]);
    style.key_separator = text_argument("tojson", &separators[1]);
  }
  Writer writer(in.budget(), style);
  writer.write(value, 0);
  return Value::string(writer.take());
}

}  // namespace weft::text::jinja
