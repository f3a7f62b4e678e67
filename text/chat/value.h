// What a template computes with: Python's values, as far as templates meet them. All are immutable but namespaces (and
// where a loop or a cycler is), as in transformers' sandbox; copies share.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "text/chat/fault.h"
#include "text/json.h"

namespace weft::text::jinja {

class Interpreter;
class Value;
struct List;
struct RangeBounds;
struct Dict;
struct Namespace;
struct Callable;
struct Loop;
struct Cycler;

// A name or attribute that is not there. Printing it gives nothing; most other uses raise what `message` says.
struct Undefined {
  const std::string* name = nullptr;  // lies in the program
  const char* owner = nullptr;        // the type whose attribute it would be
  bool unsafe = false;                // it is there, but would change something in place
  std::string message() const;
};
struct None {};
using String = std::shared_ptr<const std::string>;

class Value {
 public:
  using Storage = std::variant<Undefined, None, bool, std::int64_t, double, String, std::shared_ptr<const List>,
                               std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, std::shared_ptr<const Callable>,
                               std::shared_ptr<Loop>, std::shared_ptr<Cycler>>;

  Value() = default;  // undefined
  template <class T>
  requires std::is_constructible_v<Storage, T>
  explicit Value(T value) : storage_(std::move(value)) {}
  static Value none() { return Value(None{}); }
  static Value boolean(bool value) { return Value(value); }
  static Value integer(std::int64_t value) { return Value(value); }
  static Value real(double value) { return Value(value); }
  static Value string(std::string value) { return Value(String(std::make_shared<std::string>(std::move(value)))); }
  static Value list(std::vector<Value> items);
  static Value tuple(std::vector<Value> items);
  static Value range(std::vector<Value> items, RangeBounds bounds);  // the items are the bounds' numbers

  template <class T>
  const T* get() const noexcept {
    return std::get_if<T>(&storage_);
  }
  const std::string* text() const noexcept;
  const List* sequence() const noexcept;  // list, tuple or range
  const Dict* dict() const noexcept;
  bool is_undefined() const noexcept { return get<Undefined>() != nullptr; }
  bool is_none() const noexcept { return get<None>() != nullptr; }
  bool is_number() const noexcept;                     // bool too, as in Python
  std::optional<std::int64_t> whole() const noexcept;  // int or bool
  double number() const noexcept;                      // of a number

  bool truthy() const noexcept;
  const char* type_name() const noexcept;  // Python's: "str", "NoneType", ...
  int depth() const noexcept;              // of containers within containers

 private:
  Storage storage_;
};

// Deeper nesting is refused, so that walking and destroying a value never runs out of stack.
inline constexpr int deepest_value = 200;

struct RangeBounds {
  std::int64_t start = 0;
  std::int64_t stop = 0;
  std::int64_t step = 1;
};

// A list, a tuple or a range, which is one of numbers that prints as its bounds.
struct List {
  std::vector<Value> items;
  bool is_tuple = false;
  int depth = 1;
  std::optional<RangeBounds> range = std::nullopt;

  bool is_list() const noexcept { return !is_tuple && !range; }
  bool is_like(const List& other) const noexcept {
    return is_tuple == other.is_tuple && range.has_value() == other.range.has_value();
  }
};

// One more than the deepest of `items`; throws beyond deepest_value.
int depth_around(const std::vector<Value>& items);

// Keys keep their order. Templates use strings, now and then numbers.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  int depth = 1;

  const Value* find(std::string_view key) const;
  const Value* find(const Value& key) const;
  void set(Value key, Value value);  // while it is being made

 private:
  std::unordered_map<std::string, std::size_t> index_;  // string keys, once there are more than a few
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
  const Value* find(std::string_view name) const noexcept;
  void set(std::string_view name, Value value);
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Callable {
  std::string name;
  int depth = 0;  // of what it is bound to
  std::function<Value(Interpreter&, Arguments&)> call;
};

// The `loop` variable of a running for.
struct Loop {
  std::vector<Value> items;
  int depth = 1;
  std::size_t index = 0;
  int level = 0;
  std::optional<Value> changed;                            // what loop.changed() saw last
  std::function<Value(Interpreter&, Arguments&)> recurse;  // empty unless the loop is recursive
};

// What cycler('a', 'b') makes: its items in turn, for ever.
struct Cycler {
  std::vector<Value> items;  // at least one; never changed, so that it cannot hold itself
  int depth = 1;
  std::size_t index = 0;
};

// The value of a request's JSON. Throws where it nests too deep.
Value from_json(const OrderedJson& json);

bool equal(Budget& budget, const Value& a, const Value& b);
// Negative, 0, positive as a < b, a == b, a > b; throws TypeError where Python has no order.
int order(Budget& budget, const Value& a, const Value& b, std::string_view sign = "<");

// The items of what a `for` may run over; throws TypeError otherwise.
std::vector<Value> iterate(Budget& budget, const Value& value);

// str() and repr() of Python; JSON as json.dumps writes it.
std::string to_text(Budget& budget, const Value& value);
void append_text(Budget& budget, const Value& value, std::string& out);
std::string to_repr(Budget& budget, const Value& value);
std::string float_repr(double value);

}  // namespace weft::text::jinja
