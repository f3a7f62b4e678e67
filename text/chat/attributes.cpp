// value.name and value[key].
#include <algorithm>
#include <array>

#include "text/chat/builtins.h"
#include "text/chat/interpreter.h"
#include "text/chat/python_text.h"

namespace weft::text::jinja {
namespace {

// What changes a list or a dict in place, which the sandbox forbids.
bool changes_in_place(const Value& value, std::string_view name) {
  static constexpr std::array<std::string_view, 8> of_lists = {"append", "clear", "pop",    "reverse",
                                                               "insert", "sort",  "extend", "remove"};
  static constexpr std::array<std::string_view, 5> of_dicts = {"clear", "pop", "popitem", "setdefault", "update"};
  if (value.sequence() != nullptr && value.sequence()->is_list())
    return std::find(of_lists.begin(), of_lists.end(), name) != of_lists.end();
  return value.dict() != nullptr && std::find(of_dicts.begin(), of_dicts.end(), name) != of_dicts.end();
}

Value bound_method(const Value& self, Method method, const std::string& name) {
  const int depth = depth_around({self});
  return Value(std::shared_ptr<const Callable>(std::make_shared<Callable>(
      Callable{.name = name, .depth = depth, .call = [self, method](Interpreter& interpreter, Arguments& arguments) {
                 return method(interpreter, self, arguments);
               }})));
}

std::optional<Value> loop_attribute(const Loop& loop, const std::string& name) {
  const auto count = static_cast<std::int64_t>(loop.items.size());
  const auto index = static_cast<std::int64_t>(loop.index);
  if (name == "index") return Value::integer(index + 1);
  if (name == "index0") return Value::integer(index);
  if (name == "revindex") return Value::integer(count - index);
  if (name == "revindex0") return Value::integer(count - index - 1);
  if (name == "first") return Value::boolean(index == 0);
  if (name == "last") return Value::boolean(index + 1 == count);
  if (name == "length") return Value::integer(count);
  if (name == "depth") return Value::integer(loop.level + 1);
  if (name == "depth0") return Value::integer(loop.level);
  if (name == "previtem" && index > 0) return loop.items[loop.index - 1];
  if (name == "nextitem" && index + 1 < count) return loop.items[loop.index + 1];
  return std::nullopt;
}

// What Python's getattr finds; nothing where it finds nothing.
std::optional<Value> own_attribute(const Value& value, const std::string& name) {
  if (const Method method = find_method(value, name)) return bound_method(value, method, name);
  if (changes_in_place(value, name)) return Value(Undefined{.name = &name, .owner = value.type_name(), .unsafe = true});
  if (const List* list = value.sequence(); list != nullptr && list->range) {
    if (name == "start") return Value::integer(list->range->start);
    if (name == "stop") return Value::integer(list->range->stop);
    if (name == "step") return Value::integer(list->range->step);
  } else if (const auto* space = value.get<std::shared_ptr<Namespace>>()) {
    if (const Value* found = (*space)->find(name)) return *found;
  } else if (const auto* loop = value.get<std::shared_ptr<Loop>>()) {
    return loop_attribute(**loop, name);
  } else if (const auto* cycler = value.get<std::shared_ptr<Cycler>>()) {
    if (name == "current") return (*cycler)->items[(*cycler)->index];
  } else if (const auto* callable = value.get<std::shared_ptr<const Callable>>()) {
    if (name == "name") return Value::string((*callable)->name);
  }
  return std::nullopt;
}

std::optional<Value> element(Budget& budget, const Value& value, std::int64_t index) {
  if (const List* list = value.sequence()) {
    const auto count = static_cast<std::int64_t>(list->items.size());
    const std::int64_t at = index < 0 ? index + count : index;
    if (at < 0 || at >= count) return std::nullopt;
    return list->items[static_cast<std::size_t>(at)];
  }
  const std::string& text = *value.text();
  budget.spend(text.size() / 64);
  const auto count = static_cast<std::int64_t>(count_characters(text));
  const std::int64_t at = index < 0 ? index + count : index;
  if (at < 0 || at >= count) return std::nullopt;
  const std::size_t offset = character_offset(text, at);
  return Value::string(text.substr(offset, code_point_at(text, offset).length));
}

}  // namespace

Value attribute_of(Interpreter& interpreter, const Value& value, const std::string& name) {
  if (const auto* undefined = value.get<Undefined>()) throw fault("{}", undefined->message());
  if (auto found = own_attribute(value, name)) return *std::move(found);
  if (const Dict* dict = value.dict()) {
    interpreter.budget().spend(1);
    if (const Value* found = dict->find(std::string_view(name))) return *found;
  }
  return Value(Undefined{.name = &name, .owner = value.type_name()});
}

Value item_of(Interpreter& interpreter, const Value& value, const Value& key) {
  if (const auto* undefined = value.get<Undefined>()) throw fault("{}", undefined->message());
  if (const Dict* dict = value.dict()) {
    interpreter.budget().spend(1 + dict->entries.size() / 64);
    if (const Value* found = dict->find(key)) return *found;
  }
  if (const auto index = key.whole(); index && (value.sequence() != nullptr || value.text() != nullptr))
    if (auto found = element(interpreter.budget(), value, *index)) return *std::move(found);
  const std::string* name = key.text();
  if (name == nullptr) return Value(Undefined{.owner = value.type_name()});
  const std::string& kept = interpreter.keep(*name);
  if (auto found = own_attribute(value, kept)) return *std::move(found);
  return Value(Undefined{.name = &kept, .owner = value.type_name()});
}

}  // namespace weft::text::jinja
