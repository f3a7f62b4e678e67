// Filters on text.
#include <algorithm>

#include "text/chat/builtins.h"
#include "text/chat/interpreter.h"
#include "text/chat/letter_case.h"
#include "text/chat/operators.h"
#include "text/chat/python_text.h"

namespace weft::text::jinja {
namespace {

template <std::string (*Map)(std::string_view)>
Value mapped(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("a filter of text", arguments, {});
  const std::string text = to_text(in.budget(), value);
  in.budget().spend(text.size() / 4);
  return Value::string(Map(text));
}

// Words begin behind space and opening brackets here, not behind apostrophes as in str.title().
Value title_filter(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("title", arguments, {});
  const std::string text = to_text(in.budget(), value);
  in.budget().spend(text.size() / 4);
  std::string out;
  std::size_t word = 0;
  for (std::size_t at = 0; at <= text.size();) {
    const bool ends = at == text.size();
    const auto [c, length] = ends ? CodePoint{U' ', 1} : code_point_at(text, at);
    if (ends || is_python_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<') {
      const std::string_view whole = std::string_view(text).substr(word, at - word);
      const std::size_t first = whole.empty() ? 0 : code_point_at(whole, 0).length;
      out += upper(whole.substr(0, first));
      out += lower(whole.substr(first));
      if (!ends) out.append(text, at, length);
      word = at + length;
    }
    at += length;
  }
  return Value::string(std::move(out));
}

Value trim(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("trim", arguments, {"chars"});
  std::optional<std::string_view> characters;
  if (given[0] != nullptr && !given[0]->is_none()) characters = text_argument("trim", given[0]);
  const std::string text = to_text(in.budget(), value);
  return Value::string(std::string(strip_left(strip_right(text, characters), characters)));
}

Value string(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("string", arguments, {});
  if (value.text() != nullptr) return value;
  return Value::string(to_text(in.budget(), value));
}

Value replace_filter(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("replace", arguments, {"old", "new", "count"}, 2);
  for (Value& given : arguments.positional)
    if (given.text() == nullptr && !given.is_number() && !given.is_none())
      given = Value::string(to_text(in.budget(), given));
  const Value text = Value::string(to_text(in.budget(), value));
  if (arguments.positional.size() == 3 && arguments.positional[2].is_none()) arguments.positional.pop_back();
  return find_method(text, "replace")(in, text, arguments);
}

Value escape(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("escape", arguments, {});
  const std::string text = to_text(in.budget(), value);
  in.budget().check_length(text.size() * 5);
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&#34;"; break;
      case '\'': out += "&#39;"; break;
      default: out.push_back(c);
    }
  }
  in.budget().spend_string(out.size());
  return Value::string(std::move(out));
}

Value indent(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("indent", arguments, {"width", "first", "blank"});
  if (const auto* undefined = value.get<Undefined>()) throw fault("{}", undefined->message());
  std::string margin = "    ";
  if (given[0] != nullptr && given[0]->text() != nullptr) {
    margin = *given[0]->text();
  } else if (given[0] != nullptr) {
    const std::int64_t width = std::max<std::int64_t>(whole_argument("indent", given[0], 4), 0);
    in.budget().spend_string(static_cast<std::size_t>(width));
    margin.assign(static_cast<std::size_t>(width), ' ');
  }
  const bool first = flag_argument(given[1], false);
  const bool blank = flag_argument(given[2], false);
  // With the newline that Jinja adds, a line end at the end of the text stays.
  const std::string text = to_text(in.budget(), value) + "\n";
  std::string out;
  bool at_first = true;
  for (const std::string_view line : split_lines(text, false)) {
    if (!at_first) out.push_back('\n');
    if (at_first ? first : blank || !line.empty()) out += margin;
    at_first = false;
    out += line;
    in.budget().check_length(out.size());
  }
  in.budget().spend_string(out.size());
  return Value::string(std::move(out));
}

Value join(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("join", arguments, {"d", "attribute"});
  const Value separator = given[0] != nullptr ? *given[0] : Value::string("");
  std::string out;
  bool first = true;
  for (const Value& item : iterate(in.budget(), value)) {
    if (!first) append_text(in.budget(), separator, out);
    first = false;
    const bool by_attribute = given[1] != nullptr && !given[1]->is_none();
    append_text(in.budget(), by_attribute ? item_path(in, item, *given[1]) : item, out);
  }
  return Value::string(std::move(out));
}

Value format(Interpreter& in, const Value& value, Arguments& arguments) {
  if (!arguments.named.empty() && !arguments.positional.empty())
    throw fault("FilterArgumentError: can't handle positional and keyword arguments at the same time");
  const std::string text = to_text(in.budget(), value);
  if (arguments.named.empty())
    return Value::string(percent_format(in.budget(), text, Value::tuple(arguments.positional)));
  auto dict = std::make_shared<Dict>();
  for (const auto& [name, argument] : arguments.named)
    dict->set(Value::string(name), argument);
  return Value::string(percent_format(in.budget(), text, Value(std::shared_ptr<const Dict>(std::move(dict)))));
}

Value truncate(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("truncate", arguments, {"length", "killwords", "end", "leeway"});
  const std::int64_t length = whole_argument("truncate", given[0], 255);
  const std::string end = given[2] != nullptr ? text_argument("truncate", given[2]) : "...";
  const std::int64_t leeway = given[3] != nullptr && !given[3]->is_none() ? whole_argument("truncate", given[3], 5) : 5;
  const std::string text = to_text(in.budget(), value);
  if (static_cast<std::int64_t>(count_characters(text)) <= length + leeway) return Value::string(text);
  const auto room = length - static_cast<std::int64_t>(count_characters(end));
  if (room < 0) throw fault("AssertionError: expected length >= {}, got {}", count_characters(end), length);
  std::string cut = slice_text(text, std::nullopt, room, 1);
  if (!flag_argument(given[1], false)) {
    const std::size_t space = cut.rfind(' ');
    if (space != std::string::npos) cut.resize(space);
  }
  return Value::string(cut + end);
}

Value wordcount(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("wordcount", arguments, {});
  const std::string text = to_text(in.budget(), value);
  std::int64_t count = 0;
  bool in_word = false;
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length] = code_point_at(text, at);
    const bool word = is_word(c);
    count += word && !in_word ? 1 : 0;
    in_word = word;
    at += length;
  }
  return Value::integer(count);
}

Value center(Interpreter& in, const Value& value, Arguments& arguments) {
  if (arguments.positional.empty() && arguments.named.empty()) arguments.positional.push_back(Value::integer(80));
  const Value text = Value::string(to_text(in.budget(), value));
  return find_method(text, "center")(in, text, arguments);
}

Value urlencode(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("urlencode", arguments, {});
  const std::string text = to_text(in.budget(), value);
  in.budget().check_length(text.size() * 3);
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte < 0x80 && is_word(byte)) || std::string_view("-.~/").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  in.budget().spend_string(out.size());
  return Value::string(std::move(out));
}

}  // namespace

std::vector<NamedFilter> text_filters() {
  return {{"upper", mapped<upper>},
          {"lower", mapped<lower>},
          {"title", title_filter},
          {"capitalize", mapped<capitalize>},
          {"trim", trim},
          {"string", string},
          {"safe", string},  // nothing is escaped by itself, so nothing needs to be marked
          {"replace", replace_filter},
          {"escape", escape},
          {"e", escape},
          {"forceescape", escape},
          {"indent", indent},
          {"join", join},
          {"format", format},
          {"truncate", truncate},
          {"wordcount", wordcount},
          {"center", center},
          {"urlencode", urlencode}};
}

}  // namespace weft::text::jinja
