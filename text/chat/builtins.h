// What templates call: filters, tests, methods of values, global functions. Tables by name; filters and tests are looked
// up once, when a template is parsed.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat/ast.h"

namespace weft::text::jinja {

Filter find_filter(std::string_view name);  // null: there is none
Fault no_filter(std::string_view name);     // what is said then: Jinja has none, or this version
Test find_test(std::string_view name);

// range, namespace, raise_exception, ...; nothing where there is none of that name.
std::optional<Value> find_global(std::string_view name);

// A method that may be called on this value: "x".strip, {}.items, ...
using Method = Value (*)(Interpreter&, const Value& self, Arguments&);
Method find_method(const Value& self, std::string_view name);

// `value.name` and `value[key]` as Jinja's sandbox looks them up: what is not there is undefined; what would change a
// value in place is undefined too, and raises a SecurityError when used. `name` must outlive the rendering.
Value attribute_of(Interpreter& interpreter, const Value& value, const std::string& name);
Value item_of(Interpreter& interpreter, const Value& value, const Value& key);

// What an `attribute=` argument names: "a", "a.b", a number.
Value item_path(Interpreter& interpreter, const Value& item, const Value& path);

// Python's binding of arguments to parameters: the value of each of `names`, null where it was not given. Throws
// TypeError for too many, unknown or repeated ones, and where fewer than `required` are there.
std::vector<const Value*> bind(const char* function, const Arguments& arguments,
                               std::initializer_list<const char*> names, std::size_t required = 0);
std::vector<const Value*> bind(const char* function, Arguments&& temporary, std::initializer_list<const char*> names,
                               std::size_t required = 0) = delete;  // the result points into the arguments

void check_hashable(const Value& key);  // throws TypeError for what Python takes for no dict's key

// Typed access to bound arguments.
const std::string& text_argument(const char* function, const Value* value);
std::int64_t whole_argument(const char* function, const Value* value, std::int64_t otherwise);
bool flag_argument(const Value* value, bool otherwise);

// json.dumps(value, ensure_ascii=False, ...), which transformers puts in place of Jinja's tojson.
Value to_json(Interpreter& interpreter, const Value& value, Arguments& arguments);

// Parts of the table of filters, by what they work on.
struct NamedFilter {
  std::string_view name;
  Filter filter;
};
std::vector<NamedFilter> text_filters();
std::vector<NamedFilter> list_filters();
std::vector<NamedFilter> number_filters();

}  // namespace weft::text::jinja
