// Filters on lists and dicts.
#include <algorithm>

#include "text/chat/builtins.h"
#include "text/chat/interpreter.h"
#include "text/chat/letter_case.h"
#include "text/chat/operators.h"
#include "text/chat/python_text.h"

namespace weft::text::jinja {
namespace {

bool is_set(const Value* value) { return value != nullptr && !value->is_none(); }

// Strings compare without case unless that is asked for.
Value folded(Budget& budget, const Value& value, bool case_sensitive) {
  if (case_sensitive || value.text() == nullptr) return value;
  budget.spend_string(value.text()->size());
  return Value::string(lower(*value.text()));
}

// Sorts `items` by `key_of`, stable, errors of comparison passing through. `in_lists`: the keys are compared as if each were in a list,
// where what is equal is never asked for its order.
template <class KeyOf>
void sort_by(Interpreter& in, std::vector<Value>& items, bool reverse, KeyOf key_of, bool in_lists = false) {
  std::vector<std::pair<Value, Value>> keyed;
  in.budget().spend(items.size());
  for (Value& item : items) {
    Value key = key_of(item);
    keyed.emplace_back(std::move(key), std::move(item));
  }
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    if (in_lists && equal(in.budget(), a.first, b.first)) return false;
    const int result = order(in.budget(), a.first, b.first);
    return reverse ? result > 0 : result < 0;
  });
  for (std::size_t i = 0; i < items.size(); ++i)
    items[i] = std::move(keyed[i].second);
}

Value list(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("list", arguments, {});
  return Value::list(iterate(in.budget(), value));
}

Value length(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("length", arguments, {});
  return Value::integer(length_of(in.budget(), value));
}

Value first(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("first", arguments, {});
  const auto items = iterate(in.budget(), value);
  return items.empty() ? Value() : items.front();
}

Value last(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("last", arguments, {});
  const auto items = iterate(in.budget(), value);
  return items.empty() ? Value() : items.back();
}

Value reverse(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("reverse", arguments, {});
  if (value.text() != nullptr) return slice_of(in.budget(), value, Value::none(), Value::none(), Value::integer(-1));
  auto items = iterate(in.budget(), value);
  std::reverse(items.begin(), items.end());
  return Value::list(std::move(items));
}

Value items_of(Interpreter& in, const Value& value, Arguments& arguments) {
  bind("items", arguments, {});
  if (value.is_undefined()) return Value::list({});
  if (value.dict() == nullptr) throw fault("TypeError: Can only get item pairs from a mapping.");
  return find_method(value, "items")(in, value, arguments);
}

Value dictsort(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  if (value.dict() == nullptr) throw fault("TypeError: dictsort of a '{}', expected a dict", value.type_name());
  const bool case_sensitive = flag_argument(given[0], false);
  const std::string by = given[1] != nullptr ? text_argument("dictsort", given[1]) : "key";
  if (by != "key" && by != "value")
    throw fault("FilterArgumentError: You can only sort by either \"key\" or \"value\"");
  std::vector<Value> pairs;
  for (const auto& [key, item] : value.dict()->entries)
    pairs.push_back(Value::tuple({key, item}));
  sort_by(in, pairs, flag_argument(given[2], false), [&](const Value& pair) {
    return folded(in.budget(), pair.sequence()->items[by == "key" ? 0 : 1], case_sensitive);
  });
  return Value::list(std::move(pairs));
}

// "name" or "a.b,c.d" of an item, for sort, min, max, unique: several make a tuple.
Value sort_key(Interpreter& in, const Value& item, const Value* attribute, bool case_sensitive) {
  if (!is_set(attribute)) return folded(in.budget(), item, case_sensitive);
  const std::string* names = attribute->text();
  if (names == nullptr || names->find(',') == std::string::npos)
    return folded(in.budget(), item_path(in, item, *attribute), case_sensitive);
  std::vector<Value> parts;
  for (const std::string_view name : split(*names, ",", -1))
    parts.push_back(folded(in.budget(), item_path(in, item, Value::string(std::string(name))), case_sensitive));
  return Value::tuple(std::move(parts));
}

Value sort(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  auto items = iterate(in.budget(), value);
  sort_by(
      in, items, flag_argument(given[0], false),
      [&](const Value& item) { return sort_key(in, item, given[2], flag_argument(given[1], false)); }, true);
  return Value::list(std::move(items));
}

template <bool Largest>
Value extreme(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("min", arguments, {"case_sensitive", "attribute"});
  const auto items = iterate(in.budget(), value);
  const Value* best = nullptr;
  Value best_key;
  for (const Value& item : items) {
    Value key = sort_key(in, item, given[1], flag_argument(given[0], false));
    if (best != nullptr) {
      const int result = order(in.budget(), key, best_key);
      if (Largest ? result <= 0 : result >= 0) continue;
    }
    best = &item;
    best_key = std::move(key);
  }
  return best != nullptr ? *best : Value();
}

Value unique(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("unique", arguments, {"case_sensitive", "attribute"});
  std::vector<Value> seen;
  std::vector<Value> kept;
  for (const Value& item : iterate(in.budget(), value)) {
    Value key = sort_key(in, item, given[1], flag_argument(given[0], false));
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& other) { return equal(in.budget(), other, key); }))
      continue;
    seen.push_back(std::move(key));
    kept.push_back(item);
  }
  return Value::list(std::move(kept));
}

Value sum(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("sum", arguments, {"attribute", "start"});
  Value total = given[1] != nullptr ? *given[1] : Value::integer(0);
  for (const Value& item : iterate(in.budget(), value))
    total = binary(in.budget(), Operation::add, total, is_set(given[0]) ? item_path(in, item, *given[0]) : item);
  return total;
}

// map('upper') or map(attribute='name', default=...)
Value map(Interpreter& in, const Value& value, Arguments& arguments) {
  std::vector<Value> results;
  if (arguments.positional.empty()) {
    const auto given = bind("map", arguments, {"attribute", "default"}, 1);
    for (const Value& item : iterate(in.budget(), value)) {
      Value found = item_path(in, item, *given[0]);
      results.push_back(found.is_undefined() && given[1] != nullptr ? *given[1] : std::move(found));
    }
    return Value::list(std::move(results));
  }
  const std::string name = text_argument("map", &arguments.positional.front());
  const Filter filter = find_filter(name);
  if (filter == nullptr) throw no_filter(name);
  arguments.positional.erase(arguments.positional.begin());
  for (const Value& item : iterate(in.budget(), value)) {
    Arguments each = arguments;
    results.push_back(filter(in, item, each));
  }
  return Value::list(std::move(results));
}

// select('odd'), selectattr('role', 'equalto', 'user') and their opposites.
template <bool ByAttribute, bool Wanted>
Value select(Interpreter& in, const Value& value, Arguments& arguments) {
  auto& positional = arguments.positional;
  Value attribute;
  if (ByAttribute) {
    if (positional.empty()) throw fault("FilterArgumentError: Missing parameter for attribute name");
    attribute = positional.front();
    positional.erase(positional.begin());
  }
  Test test = nullptr;
  if (!positional.empty()) {
    const std::string name = text_argument("select", &positional.front());
    test = find_test(name);
    if (test == nullptr) throw fault("TemplateRuntimeError: No test named '{}' found.", name);
    positional.erase(positional.begin());
  }
  std::vector<Value> kept;
  for (const Value& item : iterate(in.budget(), value)) {
    const Value subject = ByAttribute ? item_path(in, item, attribute) : item;
    Arguments each = arguments;
    if ((test != nullptr ? test(in, subject, each) : subject.truthy()) == Wanted) kept.push_back(item);
  }
  return Value::list(std::move(kept));
}

Value groupby(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const auto key_of = [&](const Value& item) {
    Value key = item_path(in, item, *given[0]);
    if (key.is_undefined() && given[1] != nullptr) key = *given[1];
    return folded(in.budget(), key, flag_argument(given[2], false));
  };
  auto items = iterate(in.budget(), value);
  sort_by(in, items, false, key_of);
  std::vector<Value> groups;
  for (std::size_t i = 0; i < items.size();) {
    const Value key = key_of(items[i]);
    std::vector<Value> members;
    for (; i < items.size() && equal(in.budget(), key_of(items[i]), key); ++i)
      members.push_back(items[i]);
    groups.push_back(Value::tuple({key, Value::list(std::move(members))}));
  }
  return Value::list(std::move(groups));
}

Value batch(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("batch", arguments, {"linecount", "fill_with"}, 1);
  const std::int64_t size = whole_argument("batch", given[0], 1);
  if (size < 1) throw fault("ValueError: batch of {} items", size);
  std::vector<Value> batches;
  std::vector<Value> current;
  for (const Value& item : iterate(in.budget(), value)) {
    current.push_back(item);
    if (static_cast<std::int64_t>(current.size()) == size) batches.push_back(Value::list(std::exchange(current, {})));
  }
  if (!current.empty()) {
    if (is_set(given[1])) {
      in.budget().spend(static_cast<std::uint64_t>(size));
      current.resize(static_cast<std::size_t>(size), *given[1]);
    }
    batches.push_back(Value::list(std::move(current)));
  }
  return Value::list(std::move(batches));
}

// So many lists, the first ones longer by one where they do not divide the items; those that are not get `fill_with`.
Value slice(Interpreter& in, const Value& value, Arguments& arguments) {
  const auto given = bind("slice", arguments, {"slices", "fill_with"}, 1);
  const std::int64_t count = whole_argument("slice", given[0], 1);
  if (count == 0) throw fault("ZeroDivisionError: integer division or modulo by zero");
  const std::vector<Value> items = iterate(in.budget(), value);
  std::vector<Value> slices;
  if (count < 0) return Value::list(std::move(slices));
  in.budget().spend(static_cast<std::uint64_t>(count));
  const auto size = static_cast<std::int64_t>(items.size());
  auto at = items.begin();
  for (std::int64_t i = 0; i < count; ++i) {
    const bool longer = i < size % count;
    const auto end = at + size / count + (longer ? 1 : 0);
    std::vector<Value> part(at, end);
    if (!longer && is_set(given[1])) part.push_back(*given[1]);
    slices.push_back(Value::list(std::move(part)));
    at = end;
  }
  return Value::list(std::move(slices));
}

Value attr(Interpreter& in, const Value& value, Arguments& arguments) {
  const std::string& name = text_argument("attr", bind("attr", arguments, {"name"}, 1)[0]);
  if (value.dict() != nullptr && find_method(value, name) == nullptr)
    return Value(Undefined{.name = &in.keep(name), .owner = value.type_name()});  // attributes only, no keys
  return attribute_of(in, value, in.keep(name));
}

}  // namespace

Value item_path(Interpreter& in, const Value& item, const Value& path) {
  const std::string* names = path.text();
  if (names == nullptr) return item_of(in, item, path);
  Value current = item;
  for (const std::string_view name : split(*names, ".", -1)) {
    const bool index = !name.empty() && name.size() < 10 &&
                       std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
    current =
        item_of(in, current, index ? Value::integer(std::stoll(std::string(name))) : Value::string(std::string(name)));
  }
  return current;
}

std::vector<NamedFilter> list_filters() {
  return {{"list", list},
          {"length", length},
          {"count", length},
          {"first", first},
          {"last", last},
          {"reverse", reverse},
          {"items", items_of},
          {"dictsort", dictsort},
          {"sort", sort},
          {"min", extreme<false>},
          {"max", extreme<true>},
          {"unique", unique},
          {"sum", sum},
          {"map", map},
          {"select", select<false, true>},
          {"reject", select<false, false>},
          {"selectattr", select<true, true>},
          {"rejectattr", select<true, false>},
          {"groupby", groupby},
          {"batch", batch},
          {"slice", slice},
          {"attr", attr}};
}

}  // namespace weft::text::jinja
