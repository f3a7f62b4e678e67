// Functions that every template has.
#include <array>
#include <chrono>
#include <ctime>

#include "text/chat/builtins.h"
#include "text/chat/interpreter.h"
#include "text/utf8.h"

namespace weft::text::jinja {
namespace {

constexpr std::int64_t longest_range = 100'000;  // as Jinja's sandbox has it

Value range(Interpreter& in, Arguments& arguments) {
  const auto given = bind("range", arguments, {"start", "stop", "step"}, 1);
  std::int64_t start = 0;
  std::int64_t stop = whole_argument("range", given[0], 0);
  const std::int64_t step = whole_argument("range", given[2], 1);
  if (given[1] != nullptr) {
    start = stop;
    stop = whole_argument("range", given[1], 0);
  }
  if (step == 0) throw fault("ValueError: range() arg 3 must not be zero");
  std::vector<Value> items;
  for (std::int64_t at = start; step > 0 ? at < stop : at > stop;) {
    if (static_cast<std::int64_t>(items.size()) >= longest_range)
      throw fault("OverflowError: Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", longest_range);
    items.push_back(Value::integer(at));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  in.budget().spend(items.size());
  return Value::range(std::move(items), {.start = start, .stop = stop, .step = step});
}

Value raise_exception(Interpreter& in, Arguments& arguments) {
  const auto given = bind("raise_exception", arguments, {"message"}, 1);
  throw fault("{}", to_text(in.budget(), *given[0]));
}

Value strftime_now(Interpreter& in, Arguments& arguments) {
  const std::string& format = text_argument("strftime_now", bind("strftime_now", arguments, {"format"}, 1)[0]);
  std::tm now{};
  if (in.limits().now) {
    now = *in.limits().now;
  } else {
    const std::time_t clock = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    localtime_r(&clock, &now);
  }
  std::array<char, 4096> buffer{};
  // The mark in front tells an empty result from one that does not fit. A format from a template is the point here.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  const std::size_t length = std::strftime(buffer.data(), buffer.size(), ("." + format).c_str(), &now);
#pragma GCC diagnostic pop
  if (length == 0) throw fault("ValueError: strftime_now() makes more than {} bytes", buffer.size());
  std::string text(buffer.data() + 1, length - 1);
  if (first_invalid_utf8(text)) throw fault("ValueError: strftime_now() makes text that is not UTF-8");
  return Value::string(std::move(text));
}

// dict([('a', 1), ...]): pairs of anything that has two items.
void set_pairs(Interpreter& in, const Value& pairs, Dict& dict) {
  std::size_t index = 0;
  for (const Value& pair : iterate(in.budget(), pairs)) {
    std::vector<Value> both = iterate(in.budget(), pair);
    if (both.size() != 2)
      throw fault("ValueError: dictionary update sequence element #{} has length {}; 2 is required", index,
                  both.size());
    check_hashable(both[0]);
    in.budget().spend(1 + dict.entries.size() / 64);
    dict.set(std::move(both[0]), std::move(both[1]));
    ++index;
  }
}

Value make_dict(Interpreter& in, Arguments& arguments) {
  auto dict = std::make_shared<Dict>();
  if (arguments.positional.size() > 1)
    throw fault("TypeError: dict expected at most 1 argument, got {}", arguments.positional.size());
  if (!arguments.positional.empty()) {
    const Value& given = arguments.positional[0];
    if (const auto* undefined = given.get<Undefined>()) throw fault("{}", undefined->message());
    if (given.dict() != nullptr) {
      in.budget().spend(given.dict()->entries.size());
      for (const auto& [key, value] : given.dict()->entries)
        dict->set(key, value);
    } else {
      set_pairs(in, given, *dict);
    }
  }
  for (auto& [name, value] : arguments.named)
    dict->set(Value::string(name), value);
  return Value(std::shared_ptr<const Dict>(std::move(dict)));
}

Value make_namespace(Interpreter& in, Arguments& arguments) { return in.make_namespace(arguments); }

Value cycler(Interpreter&, Arguments& arguments) {
  if (!arguments.named.empty()) throw fault("TypeError: cycler() takes no named arguments");
  if (arguments.positional.empty()) throw fault("RuntimeError: at least one item has to be provided");
  const int depth = depth_around(arguments.positional);
  return Value(std::make_shared<Cycler>(Cycler{.items = std::move(arguments.positional), .depth = depth}));
}

Value lipsum(Interpreter&, Arguments&) { throw fault("lipsum() makes text at random, which is not in this version"); }

// joiner(", ") gives nothing the first time it is called, then its separator.
Value joiner(Interpreter&, Arguments& arguments) {
  const auto given = bind("joiner", arguments, {"sep"});
  const Value separator = given[0] != nullptr ? *given[0] : Value::string(", ");
  return Value(std::shared_ptr<const Callable>(std::make_shared<Callable>(
      Callable{.name = "joiner",
               .depth = depth_around({separator}),
               .call = [separator, used = std::make_shared<bool>(false)](Interpreter&, Arguments&) {
                 return std::exchange(*used, true) ? separator : Value::string("");
               }})));
}

}  // namespace

std::optional<Value> find_global(std::string_view name) {
  using Function = Value (*)(Interpreter&, Arguments&);
  static constexpr std::array<std::pair<std::string_view, Function>, 8> table = {{{"range", range},
                                                                                  {"raise_exception", raise_exception},
                                                                                  {"strftime_now", strftime_now},
                                                                                  {"dict", make_dict},
                                                                                  {"namespace", make_namespace},
                                                                                  {"joiner", joiner},
                                                                                  {"cycler", cycler},
                                                                                  {"lipsum", lipsum}}};
  for (const auto& [known, function] : table)
    if (known == name)
      return Value(std::shared_ptr<const Callable>(
          std::make_shared<Callable>(Callable{.name = std::string(known), .call = function})));
  return std::nullopt;
}

}  // namespace weft::text::jinja
