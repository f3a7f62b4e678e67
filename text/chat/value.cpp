#include "text/chat/value.h"

#include <algorithm>

#include "text/utf8.h"

namespace weft::text::jinja {
namespace {

constexpr std::size_t index_from = 9;  // fewer keys are found faster by looking

int depth_above(int inner) {
  if (inner >= deepest_value)
    throw Fault{ErrorCode::resource_exhausted, fmt::format("values nested deeper than {}", deepest_value)};
  return inner + 1;
}

Value make_sequence(std::vector<Value> items, bool is_tuple) {
  const int depth = depth_around(items);
  return Value(std::shared_ptr<const List>(
      std::make_shared<List>(List{.items = std::move(items), .is_tuple = is_tuple, .depth = depth})));
}

Value from_json_at(const OrderedJson& json, int depth) {
  depth_above(depth);
  switch (json.type()) {
    case OrderedJson::value_t::boolean: return Value::boolean(json.get<bool>());
    case OrderedJson::value_t::number_integer: return Value::integer(json.get<std::int64_t>());
    case OrderedJson::value_t::number_unsigned: {
      const auto number = json.get<std::uint64_t>();
      return number <= INT64_MAX ? Value::integer(static_cast<std::int64_t>(number))
                                 : Value::real(static_cast<double>(number));
    }
    case OrderedJson::value_t::number_float: return Value::real(json.get<double>());
    case OrderedJson::value_t::string: return Value::string(json.get<std::string>());
    case OrderedJson::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const auto& item : json)
        items.push_back(from_json_at(item, depth + 1));
      return Value::list(std::move(items));
    }
    case OrderedJson::value_t::object: {
      auto dict = std::make_shared<Dict>();
      dict->entries.reserve(json.size());
      for (const auto& [key, value] : json.items())
        dict->set(Value::string(key), from_json_at(value, depth + 1));
      return Value(std::shared_ptr<const Dict>(std::move(dict)));
    }
    default: return Value::none();
  }
}

int compare_numbers(const Value& a, const Value& b) {
  const auto left = a.whole();
  const auto right = b.whole();
  if (left && right) return *left < *right ? -1 : *left > *right ? 1 : 0;
  return a.number() < b.number() ? -1 : a.number() > b.number() ? 1 : 0;
}

}  // namespace

int depth_around(const std::vector<Value>& items) {
  int deepest = 0;
  for (const Value& item : items)
    deepest = std::max(deepest, item.depth());
  return depth_above(deepest);
}

std::string Undefined::message() const {
  const std::string_view shown = name == nullptr ? std::string_view("a value") : std::string_view(*name);
  if (unsafe) return fmt::format("SecurityError: access to attribute '{}' of '{}' object is unsafe.", shown, owner);
  if (owner != nullptr) return fmt::format("UndefinedError: '{} object' has no attribute '{}'", owner, shown);
  return fmt::format("UndefinedError: '{}' is undefined", shown);
}

Value Value::list(std::vector<Value> items) { return make_sequence(std::move(items), false); }
Value Value::tuple(std::vector<Value> items) { return make_sequence(std::move(items), true); }

Value Value::range(std::vector<Value> items, RangeBounds bounds) {
  return Value(std::shared_ptr<const List>(std::make_shared<List>(List{.items = std::move(items), .range = bounds})));
}

const std::string* Value::text() const noexcept {
  const auto* value = get<String>();
  return value != nullptr ? value->get() : nullptr;
}

const List* Value::sequence() const noexcept {
  const auto* value = get<std::shared_ptr<const List>>();
  return value != nullptr ? value->get() : nullptr;
}

const Dict* Value::dict() const noexcept {
  const auto* value = get<std::shared_ptr<const Dict>>();
  return value != nullptr ? value->get() : nullptr;
}

bool Value::is_number() const noexcept {
  return get<bool>() != nullptr || get<std::int64_t>() != nullptr || get<double>() != nullptr;
}

std::optional<std::int64_t> Value::whole() const noexcept {
  if (const auto* value = get<std::int64_t>()) return *value;
  if (const auto* value = get<bool>()) return *value ? 1 : 0;
  return std::nullopt;
}

double Value::number() const noexcept {
  if (const auto* value = get<double>()) return *value;
  return static_cast<double>(whole().value_or(0));
}

bool Value::truthy() const noexcept {
  if (is_undefined() || is_none()) return false;
  if (is_number()) return number() != 0.0;
  if (const auto* value = text()) return !value->empty();
  if (const auto* value = sequence()) return !value->items.empty();
  if (const auto* value = dict()) return !value->entries.empty();
  return true;
}

const char* Value::type_name() const noexcept {
  if (const auto* value = sequence()) return value->is_tuple ? "tuple" : value->range ? "range" : "list";
  static constexpr const char* names[] = {"Undefined", "NoneType", "bool",      "int",      "float",       "str",
                                          "list",      "dict",     "Namespace", "function", "LoopContext", "Cycler"};
  return names[storage_.index()];
}

int Value::depth() const noexcept {
  if (const auto* value = sequence()) return value->depth;
  if (const auto* value = dict()) return value->depth;
  if (const auto* value = get<std::shared_ptr<const Callable>>()) return (*value)->depth;
  if (const auto* value = get<std::shared_ptr<Loop>>()) return (*value)->depth;
  if (const auto* value = get<std::shared_ptr<Cycler>>()) return (*value)->depth;
  return 0;
}

const Value* Dict::find(std::string_view key) const {
  if (!index_.empty()) {
    const auto found = index_.find(std::string(key));
    return found == index_.end() ? nullptr : &entries[found->second].second;
  }
  for (const auto& [known, value] : entries)
    if (const std::string* text = known.text(); text != nullptr && *text == key) return &value;
  return nullptr;
}

const Value* Dict::find(const Value& key) const {
  if (const std::string* text = key.text()) return find(std::string_view(*text));
  if (!key.is_number() && !key.is_none() && key.sequence() == nullptr) return nullptr;
  Budget unlimited(UINT64_MAX, SIZE_MAX);  // keys are small: a template's literals
  for (const auto& [known, value] : entries)
    if (known.text() == nullptr && equal(unlimited, known, key)) return &value;
  return nullptr;
}

void Dict::set(Value key, Value value) {
  depth = std::max(depth, depth_above(std::max(key.depth(), value.depth())));
  if (const Value* old = find(key)) {
    *const_cast<Value*>(old) = std::move(value);  // ours: `old` lies in `entries`
    return;
  }
  if (const std::string* text = key.text(); text != nullptr && !index_.empty()) index_.emplace(*text, entries.size());
  entries.emplace_back(std::move(key), std::move(value));
  if (entries.size() != index_from) return;
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (const std::string* text = entries[i].first.text()) index_.emplace(*text, i);
}

const Value* Namespace::find(std::string_view name) const noexcept {
  for (const auto& [known, value] : attributes)
    if (known == name) return &value;
  return nullptr;
}

void Namespace::set(std::string_view name, Value value) {
  for (auto& [known, old] : attributes) {
    if (known != name) continue;
    old = std::move(value);
    return;
  }
  attributes.emplace_back(std::string(name), std::move(value));
}

Value from_json(const OrderedJson& json) { return from_json_at(json, 0); }

bool equal(Budget& budget, const Value& a, const Value& b) {
  budget.spend(1);
  if (a.is_number() && b.is_number()) return a.whole() && b.whole() ? a.whole() == b.whole() : a.number() == b.number();
  if (a.text() != nullptr && b.text() != nullptr) return *a.text() == *b.text();
  if (a.sequence() != nullptr && b.sequence() != nullptr) {
    const auto& left = *a.sequence();
    const auto& right = *b.sequence();
    return left.is_like(right) && left.items.size() == right.items.size() &&
           std::equal(left.items.begin(), left.items.end(), right.items.begin(),
                      [&](const Value& x, const Value& y) { return equal(budget, x, y); });
  }
  if (a.dict() != nullptr && b.dict() != nullptr) {
    const auto& left = *a.dict();
    const auto& right = *b.dict();
    return left.entries.size() == right.entries.size() &&
           std::all_of(left.entries.begin(), left.entries.end(), [&](const auto& entry) {
             const Value* other = right.find(entry.first);
             return other != nullptr && equal(budget, entry.second, *other);
           });
  }
  if (a.is_undefined() || a.is_none()) return a.is_undefined() == b.is_undefined() && a.is_none() == b.is_none();
  if (const auto* left = a.get<std::shared_ptr<Namespace>>()) {
    const auto* right = b.get<std::shared_ptr<Namespace>>();
    return right != nullptr && *left == *right;
  }
  if (const auto* left = a.get<std::shared_ptr<const Callable>>()) {
    const auto* right = b.get<std::shared_ptr<const Callable>>();
    return right != nullptr && *left == *right;
  }
  return false;
}

int order(Budget& budget, const Value& a, const Value& b, std::string_view sign) {
  budget.spend(1);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.text() != nullptr && b.text() != nullptr) {
    budget.spend(std::min(a.text()->size(), b.text()->size()) / 16);
    return a.text()->compare(*b.text());  // UTF-8 sorts as its code points do
  }
  if (a.sequence() != nullptr && b.sequence() != nullptr && a.sequence()->is_like(*b.sequence()) &&
      !a.sequence()->range) {
    const auto& left = a.sequence()->items;
    const auto& right = b.sequence()->items;
    for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i)
      if (!equal(budget, left[i], right[i])) return order(budget, left[i], right[i], sign);
    return left.size() < right.size() ? -1 : left.size() > right.size() ? 1 : 0;
  }
  for (const Value* side : {&a, &b})
    if (const auto* undefined = side->get<Undefined>()) throw fault("{}", undefined->message());
  throw fault("TypeError: '{}' not supported between instances of '{}' and '{}'", sign, a.type_name(), b.type_name());
}

std::vector<Value> iterate(Budget& budget, const Value& value) {
  std::vector<Value> items;
  if (value.is_undefined()) return items;
  if (const auto* list = value.sequence()) {
    budget.spend(list->items.size());
    return list->items;
  }
  if (const auto* dict = value.dict()) {
    budget.spend(dict->entries.size());
    for (const auto& entry : dict->entries)
      items.push_back(entry.first);
    return items;
  }
  if (const auto* text = value.text()) {
    budget.spend(2 * text->size());
    for (std::size_t at = 0; at < text->size();) {
      const std::size_t length = code_point_at(*text, at).length;
      items.push_back(Value::string(text->substr(at, length)));
      at += length;
    }
    return items;
  }
  throw fault("TypeError: '{}' object is not iterable", value.type_name());
}

}  // namespace weft::text::jinja
