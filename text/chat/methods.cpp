// Methods of str, dict, list and of the loop variable.
#include <algorithm>
#include <array>
#include <unordered_map>

#include "text/chat/builtins.h"
#include "text/chat/interpreter.h"
#include "text/chat/letter_case.h"
#include "text/chat/operators.h"
#include "text/chat/python_text.h"

namespace weft::text::jinja {
namespace {

Value made(Interpreter& in, std::string_view text) {
  in.budget().spend_string(text.size());
  return Value::string(std::string(text));
}

Value text_list(Interpreter& in, const std::vector<std::string_view>& parts) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts)
    items.push_back(made(in, part));
  return Value::list(std::move(items));
}

std::optional<std::string_view> optional_text(const char* function, const Value* value) {
  if (value == nullptr || value->is_none()) return std::nullopt;
  return text_argument(function, value);
}

template <std::string (*Map)(std::string_view)>
Value mapped(Interpreter& in, const Value& self, Arguments& arguments) {
  bind("a method of str", arguments, {});
  in.budget().spend(self.text()->size());
  return made(in, Map(*self.text()));
}

template <bool Left, bool Right>
Value strip(Interpreter& in, const Value& self, Arguments& arguments) {
  const auto characters = optional_text("strip", bind("strip", arguments, {"chars"})[0]);
  std::string_view text = *self.text();
  in.budget().spend(text.size() / 16 * (1 + (characters ? characters->size() / 16 : 0)));
  if (Left) text = strip_left(text, characters);
  if (Right) text = strip_right(text, characters);
  return made(in, text);
}

template <bool FromRight>
Value split_method(Interpreter& in, const Value& self, Arguments& arguments) {
  const auto given = bind("split", arguments, {"sep", "maxsplit"});
  const auto separator = optional_text("split", given[0]);
  if (separator && separator->empty()) throw fault("ValueError: empty separator");
  const std::int64_t limit = whole_argument("split", given[1], -1);
  in.budget().spend(self.text()->size() / 16);
  return text_list(
      in, FromRight ? split_from_right(*self.text(), separator, limit) : split(*self.text(), separator, limit));
}

Value splitlines(Interpreter& in, const Value& self, Arguments& arguments) {
  const auto given = bind("splitlines", arguments, {"keepends"});
  return text_list(in, split_lines(*self.text(), flag_argument(given[0], false)));
}

template <bool FromRight>
Value partition(Interpreter& in, const Value& self, Arguments& arguments) {
  const std::string& separator = text_argument("partition", bind("partition", arguments, {"sep"}, 1)[0]);
  if (separator.empty()) throw fault("ValueError: empty separator");
  const std::string_view text = *self.text();
  const std::size_t found = FromRight ? text.rfind(separator) : text.find(separator);
  if (found == std::string_view::npos)
    return FromRight ? Value::tuple({made(in, ""), made(in, ""), self})
                     : Value::tuple({self, made(in, ""), made(in, "")});
  return Value::tuple(
      {made(in, text.substr(0, found)), made(in, separator), made(in, text.substr(found + separator.size()))});
}

Value replace_method(Interpreter& in, const Value& self, Arguments& arguments) {
  const auto given = bind("replace", arguments, {"old", "new", "count"}, 2);
  const std::string& from = text_argument("replace", given[0]);
  const std::string& to = text_argument("replace", given[1]);
  const std::string& text = *self.text();
  in.budget().spend(text.size() / 16);
  const std::size_t places = from.empty() ? text.size() + 1 : text.size() / from.size();
  if (to.size() > from.size() && places > 0) {  // an upper bound first, the exact size only where that is too much
    std::size_t count = places;
    if (!from.empty()) {
      count = 0;
      for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + from.size()))
        ++count;
    }
    if (count > 0 && to.size() > SIZE_MAX / 2 / count) in.budget().check_length(SIZE_MAX);
    in.budget().check_length(text.size() + count * to.size());
  }
  return made(in, replace(text, from, to, whole_argument("replace", given[2], -1)));
}

// startswith and endswith take a string or a tuple of them, and where to look.
template <bool AtEnd>
Value affix(Interpreter& in, const Value& self, Arguments& arguments) {
  const char* name = AtEnd ? "endswith" : "startswith";
  const auto given = bind(name, arguments, {"prefix", "start", "end"}, 1);
  std::string_view text = *self.text();
  std::string part;
  if (given[1] != nullptr || given[2] != nullptr) {
    in.budget().spend(text.size() / 16);
    const auto bound = [&](const Value* value) -> std::optional<std::int64_t> {
      return value == nullptr || value->is_none() ? std::nullopt : std::optional(whole_argument(name, value, 0));
    };
    part = slice_text(text, bound(given[1]), bound(given[2]), 1);
    text = part;
  }
  const auto matches = [&](const Value& wanted) {
    const std::string& affix_text = text_argument(name, &wanted);
    return AtEnd ? text.ends_with(affix_text) : text.starts_with(affix_text);
  };
  if (const List* list = given[0]->sequence(); list != nullptr && list->is_tuple)
    return Value::boolean(std::any_of(list->items.begin(), list->items.end(), matches));
  return Value::boolean(matches(*given[0]));
}

template <bool FromRight, bool Raises>
Value find(Interpreter& in, const Value& self, Arguments& arguments) {
  const auto given = bind("find", arguments, {"sub", "start", "end"}, 1);
  const std::string& text = *self.text();
  const std::string& wanted = text_argument("find", given[0]);
  in.budget().spend(text.size() / 16);
  const auto length = static_cast<std::int64_t>(count_characters(text));
  const auto optional_bound = [&](const Value* value) -> std::optional<std::int64_t> {
    return value == nullptr || value->is_none() ? std::nullopt : std::optional(whole_argument("find", value, 0));
  };
  const Slice slice = resolve_slice(optional_bound(given[1]), optional_bound(given[2]), 1, length);
  const std::size_t begin = character_offset(text, slice.start);
  const std::string_view part =
      std::string_view(text).substr(begin, character_offset(std::string_view(text).substr(begin), slice.count));
  const std::size_t found = FromRight ? part.rfind(wanted) : part.find(wanted);
  if (found == std::string_view::npos) {
    if (Raises) throw fault("ValueError: substring not found");
    return Value::integer(-1);
  }
  return Value::integer(slice.start + static_cast<std::int64_t>(count_characters(part.substr(0, found))));
}

Value count_text(Interpreter& in, const Value& self, Arguments& arguments) {
  const std::string& wanted = text_argument("count", bind("count", arguments, {"sub"}, 1)[0]);
  const std::string& text = *self.text();
  in.budget().spend(text.size() / 16);
  if (wanted.empty()) return Value::integer(static_cast<std::int64_t>(count_characters(text)) + 1);
  std::int64_t count = 0;
  for (std::size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + wanted.size()))
    ++count;
  return Value::integer(count);
}

Value join(Interpreter& in, const Value& self, Arguments& arguments) {
  const auto given = bind("join", arguments, {"iterable"}, 1);
  std::string out;
  std::size_t index = 0;
  for (const Value& item : iterate(in.budget(), *given[0])) {
    if (item.text() == nullptr)
      throw fault("TypeError: sequence item {}: expected str instance, {} found", index, item.type_name());
    if (index++ > 0) append_text(in.budget(), self, out);
    append_text(in.budget(), item, out);
  }
  return Value::string(std::move(out));
}

Value format(Interpreter& in, const Value& self, Arguments& arguments) {
  return Value::string(brace_format(in.budget(), *self.text(), arguments));
}

Value format_map(Interpreter& in, const Value& self, Arguments& arguments) {
  const Value& mapping = *bind("format_map", arguments, {"mapping"}, 1)[0];
  if (mapping.dict() == nullptr) throw fault("TypeError: format_map() takes a dict, not '{}'", mapping.type_name());
  Arguments named;
  in.budget().spend(mapping.dict()->entries.size());
  for (const auto& [key, value] : mapping.dict()->entries)
    if (key.text() != nullptr) named.named.emplace_back(*key.text(), value);
  return Value::string(brace_format(in.budget(), *self.text(), named));
}

Value expandtabs(Interpreter& in, const Value& self, Arguments& arguments) {
  const auto given = bind("expandtabs", arguments, {"tabsize"});
  const std::string& text = *self.text();
  const auto size = static_cast<std::size_t>(std::max<std::int64_t>(whole_argument("expandtabs", given[0], 8), 0));
  const auto tabs = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\t'));
  if (tabs > 0) in.budget().check_length(text.size() + tabs * std::min(size, SIZE_MAX / 2 / tabs));
  return made(in, expand_tabs(text, size));
}

// What str has and templates hardly use: said where it is called.
constexpr std::array not_built_names = {"encode", "isidentifier", "maketrans", "translate"};
template <std::size_t Index>
Value not_built(Interpreter&, const Value&, Arguments&) {
  throw fault("str.{}() is not in this version", not_built_names[Index]);
}

template <bool Suffix>
Value remove_affix(Interpreter& in, const Value& self, Arguments& arguments) {
  const std::string& affix_text = text_argument("removeprefix", bind("removeprefix", arguments, {"prefix"}, 1)[0]);
  std::string_view text = *self.text();
  if (Suffix && text.ends_with(affix_text)) text.remove_suffix(affix_text.size());
  if (!Suffix && text.starts_with(affix_text)) text.remove_prefix(affix_text.size());
  return made(in, text);
}

template <bool Left, bool Right>
Value pad(Interpreter& in, const Value& self, Arguments& arguments) {
  const auto given = bind("ljust", arguments, {"width", "fillchar"}, 1);
  const std::string fill = given[1] != nullptr ? text_argument("ljust", given[1]) : " ";
  if (count_characters(fill) != 1) throw fault("TypeError: The fill character must be exactly one character long");
  const auto length = static_cast<std::int64_t>(count_characters(*self.text()));
  const std::int64_t room = std::max<std::int64_t>(whole_argument("ljust", given[0], 0) - length, 0);
  in.budget().spend_string(self.text()->size() +
                           std::min<std::size_t>(static_cast<std::size_t>(room), SIZE_MAX / 8) * fill.size());
  const std::int64_t left = Left && Right ? room / 2 + (room & (room + length) & 1) : Left ? room : 0;
  std::string out;
  for (std::int64_t i = 0; i < left; ++i)
    out += fill;
  out += *self.text();
  for (std::int64_t i = left; i < room; ++i)
    out += fill;
  return Value::string(std::move(out));
}

Value isprintable(Interpreter& in, const Value& self, Arguments& arguments) {
  bind("isprintable", arguments, {});
  const std::string& text = *self.text();
  in.budget().spend(text.size() / 16);
  for (std::size_t at = 0; at < text.size(); at += code_point_at(text, at).length)
    if (!is_printable(code_point_at(text, at).value)) return Value::boolean(false);
  return Value::boolean(true);
}

Value zfill(Interpreter& in, const Value& self, Arguments& arguments) {
  const std::string& text = *self.text();
  const std::int64_t width = whole_argument("zfill", bind("zfill", arguments, {"width"}, 1)[0], 0);
  const auto length = static_cast<std::int64_t>(count_characters(text));
  const auto room = static_cast<std::size_t>(std::max<std::int64_t>(width - length, 0));
  in.budget().spend_string(text.size() + room);
  const std::size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  return Value::string(text.substr(0, sign) + std::string(room, '0') + text.substr(sign));
}

template <bool (*Belongs)(char32_t)>
Value all_are(Interpreter& in, const Value& self, Arguments& arguments) {
  bind("a method of str", arguments, {});
  const std::string& text = *self.text();
  in.budget().spend(text.size() / 16);
  for (std::size_t at = 0; at < text.size(); at += code_point_at(text, at).length)
    if (!Belongs(code_point_at(text, at).value)) return Value::boolean(false);
  return Value::boolean(!text.empty());
}

bool is_digit(char32_t c) { return is_number(c) && is_word(c); }
bool is_alphanumeric(char32_t c) { return is_letter(c) || is_number(c); }
bool is_ascii(char32_t c) { return c < 0x80; }

template <bool (*Holds)(std::string_view)>
Value has_case(Interpreter& in, const Value& self, Arguments& arguments) {
  bind("a method of str", arguments, {});
  in.budget().spend(self.text()->size());
  return Value::boolean(Holds(*self.text()));
}

Value dict_items(Interpreter& in, const Value& self, Arguments& arguments) {
  bind("items", arguments, {});
  std::vector<Value> items;
  in.budget().spend(2 * self.dict()->entries.size());
  for (const auto& [key, value] : self.dict()->entries)
    items.push_back(Value::tuple({key, value}));
  return Value::list(std::move(items));
}

Value dict_keys(Interpreter& in, const Value& self, Arguments& arguments) {
  bind("keys", arguments, {});
  return Value::list(iterate(in.budget(), self));
}

Value dict_values(Interpreter& in, const Value& self, Arguments& arguments) {
  bind("values", arguments, {});
  std::vector<Value> items;
  in.budget().spend(self.dict()->entries.size());
  for (const auto& entry : self.dict()->entries)
    items.push_back(entry.second);
  return Value::list(std::move(items));
}

Value dict_get(Interpreter& in, const Value& self, Arguments& arguments) {
  const auto given = bind("get", arguments, {"key", "default"}, 1);
  in.budget().spend(1 + self.dict()->entries.size() / 64);
  if (const Value* found = self.dict()->find(*given[0])) return *found;
  return given[1] != nullptr ? *given[1] : Value::none();
}

Value copy(Interpreter&, const Value& self, Arguments& arguments) {
  bind("copy", arguments, {});
  return self;  // nothing changes in place
}

Value list_index(Interpreter& in, const Value& self, Arguments& arguments) {
  const auto given = bind("index", arguments, {"value"}, 1);
  const auto& items = self.sequence()->items;
  for (std::size_t i = 0; i < items.size(); ++i)
    if (equal(in.budget(), items[i], *given[0])) return Value::integer(static_cast<std::int64_t>(i));
  throw fault("ValueError: {} is not in list", to_repr(in.budget(), *given[0]));
}

Value list_count(Interpreter& in, const Value& self, Arguments& arguments) {
  const auto given = bind("count", arguments, {"value"}, 1);
  const auto& items = self.sequence()->items;
  return Value::integer(std::count_if(items.begin(), items.end(),
                                      [&](const Value& item) { return equal(in.budget(), item, *given[0]); }));
}

Value cycler_next(Interpreter&, const Value& self, Arguments& arguments) {
  bind("next", arguments, {});
  Cycler& cycler = **self.get<std::shared_ptr<Cycler>>();
  const Value& now = cycler.items[cycler.index];
  cycler.index = (cycler.index + 1) % cycler.items.size();
  return now;
}

Value cycler_reset(Interpreter&, const Value& self, Arguments& arguments) {
  bind("reset", arguments, {});
  (*self.get<std::shared_ptr<Cycler>>())->index = 0;
  return Value::none();
}

Value loop_cycle(Interpreter&, const Value& self, Arguments& arguments) {
  if (arguments.positional.empty()) throw fault("TypeError: no items for cycling given");
  const Loop& loop = **self.get<std::shared_ptr<Loop>>();
  return arguments.positional[loop.index % arguments.positional.size()];
}

Value loop_changed(Interpreter& in, const Value& self, Arguments& arguments) {
  Loop& loop = **self.get<std::shared_ptr<Loop>>();
  Value now = Value::tuple(arguments.positional);
  if (loop.changed && equal(in.budget(), *loop.changed, now)) return Value::boolean(false);
  loop.changed = std::move(now);
  return Value::boolean(true);
}

using MethodTable = std::unordered_map<std::string_view, Method>;

const MethodTable& text_methods() {
  static const MethodTable table = {{"upper", mapped<upper>},
                                    {"lower", mapped<lower>},
                                    {"casefold", mapped<casefold>},
                                    {"swapcase", mapped<swapcase>},
                                    {"istitle", has_case<is_title>},
                                    {"title", mapped<title>},
                                    {"capitalize", mapped<capitalize>},
                                    {"strip", strip<true, true>},
                                    {"lstrip", strip<true, false>},
                                    {"rstrip", strip<false, true>},
                                    {"split", split_method<false>},
                                    {"rsplit", split_method<true>},
                                    {"splitlines", splitlines},
                                    {"partition", partition<false>},
                                    {"rpartition", partition<true>},
                                    {"replace", replace_method},
                                    {"startswith", affix<false>},
                                    {"endswith", affix<true>},
                                    {"find", find<false, false>},
                                    {"rfind", find<true, false>},
                                    {"index", find<false, true>},
                                    {"rindex", find<true, true>},
                                    {"count", count_text},
                                    {"join", join},
                                    {"format", format},
                                    {"format_map", format_map},
                                    {"expandtabs", expandtabs},
                                    {not_built_names[0], not_built<0>},
                                    {not_built_names[1], not_built<1>},
                                    {not_built_names[2], not_built<2>},
                                    {not_built_names[3], not_built<3>},
                                    {"removeprefix", remove_affix<false>},
                                    {"removesuffix", remove_affix<true>},
                                    {"ljust", pad<false, true>},
                                    {"rjust", pad<true, false>},
                                    {"center", pad<true, true>},
                                    {"zfill", zfill},
                                    {"isdigit", all_are<is_digit>},
                                    {"isdecimal", all_are<is_digit>},
                                    {"isnumeric", all_are<is_number>},
                                    {"isalpha", all_are<is_letter>},
                                    {"isalnum", all_are<is_alphanumeric>},
                                    {"isspace", all_are<is_python_space>},
                                    {"isprintable", isprintable},
                                    {"isascii", all_are<is_ascii>},
                                    {"isupper", has_case<is_upper>},
                                    {"islower", has_case<is_lower>}};
  return table;
}

const MethodTable* methods_of(const Value& self) {
  static const MethodTable of_dict = {
      {"items", dict_items}, {"keys", dict_keys}, {"values", dict_values}, {"get", dict_get}, {"copy", copy}};
  static const MethodTable of_list = {{"index", list_index}, {"count", list_count}, {"copy", copy}};
  static const MethodTable of_cycler = {{"next", cycler_next}, {"reset", cycler_reset}};
  static const MethodTable of_loop = {{"cycle", loop_cycle}, {"changed", loop_changed}};
  if (self.text() != nullptr) return &text_methods();
  if (self.dict() != nullptr) return &of_dict;
  if (self.sequence() != nullptr) return &of_list;
  if (self.get<std::shared_ptr<Loop>>() != nullptr) return &of_loop;
  if (self.get<std::shared_ptr<Cycler>>() != nullptr) return &of_cycler;
  return nullptr;
}

}  // namespace

Method find_method(const Value& self, std::string_view name) {
  const MethodTable* table = methods_of(self);
  if (table == nullptr) return nullptr;
  const auto found = table->find(name);
  return found != table->end() ? found->second : nullptr;
}

}  // namespace weft::text::jinja
