// Binding of arguments, and access to them by type.
#include "text/chat/builtins.h"

namespace weft::text::jinja {

std::vector<const Value*> bind(const char* function, const Arguments& arguments,
                               std::initializer_list<const char*> names, std::size_t required) {
  std::vector<const Value*> bound(names.size(), nullptr);
  if (arguments.positional.size() > names.size())
    throw fault("TypeError: {}() takes at most {} argument(s), {} given", function, names.size(),
                arguments.positional.size());
  for (std::size_t i = 0; i < arguments.positional.size(); ++i)
    bound[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    std::size_t at = 0;
    for (const char* known : names) {
      if (name == known) break;
      ++at;
    }
    if (at == names.size()) throw fault("TypeError: {}() got an unexpected keyword argument '{}'", function, name);
    if (bound[at] != nullptr) throw fault("TypeError: {}() got multiple values for argument '{}'", function, name);
    bound[at] = &value;
  }
  for (std::size_t i = 0; i < required; ++i)
    if (bound[i] == nullptr)
      throw fault("TypeError: {}() missing a required argument: '{}'", function, *(names.begin() + i));
  return bound;
}

void check_hashable(const Value& key) {
  const bool changes = key.dict() != nullptr || (key.sequence() != nullptr && key.sequence()->is_list());
  if (changes) throw fault("TypeError: unhashable type: '{}'", key.type_name());
}

const std::string& text_argument(const char* function, const Value* value) {
  const std::string* text = value != nullptr ? value->text() : nullptr;
  if (text != nullptr) return *text;
  throw fault("TypeError: {}() argument must be str, not {}", function,
              value != nullptr ? value->type_name() : "absent");
}

std::int64_t whole_argument(const char* function, const Value* value, std::int64_t otherwise) {
  if (value == nullptr) return otherwise;
  if (const auto whole = value->whole()) return *whole;
  throw fault("TypeError: {}() argument must be int, not {}", function, value->type_name());
}

bool flag_argument(const Value* value, bool otherwise) { return value != nullptr ? value->truthy() : otherwise; }

}  // namespace weft::text::jinja
