// create, query and destroy.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "tests/conformance/harness/sanitizer.h"
#include "tests/conformance/plugin/bare.h"
#include "tests/conformance/plugin/footprint.h"
#include "tests/conformance/plugin/groups.h"

namespace weft::conformance {
namespace {

constexpr int rounds = 100;

void create_makes_an_object(Context& context) {
  Bare bare(context);
  void* const object = bare.create();
  bare.destroy(object);
}

void rounds_leave_nothing(Context& context) {
  Bare bare(context);
  const PluginOptions options = context.options();
  // What a library makes once for the process is made now: threads and descriptors, not processes.
  void* const first = bare.create(options);
  const bool executor = context.plugin().info.kind == "executor";  // what its processes have is in EX
  if (!executor) expect_no_copies(context, "processes of an object");
  bare.work(first);
  if (!executor) expect_no_copies(context, "processes of an object at work");
  bare.destroy(first);
  expect_no_processes(context, "after the first object was made, put to work and destroyed");
  const Holdings before = look_at_holdings();
  for (int round = 0; round < rounds; ++round)
    bare.destroy(bare.create(options));
  expect_no_more(context, before, fmt::format("after {} objects were made and destroyed", rounds));
  expect_no_processes(context, fmt::format("after {} objects were made and destroyed", rounds));
}

void rounds_keep_memory(Context& context) {
  constexpr std::int64_t allowed = std::int64_t{1} << 20;  // bytes: caches of the allocator's and of threads' stacks
  Bare bare(context);
  const PluginOptions options = context.options();
  for (int round = 0; round < 10; ++round)
    bare.destroy(bare.create(options));
  const std::int64_t before = heap_bytes_in_use();
  for (int round = 0; round < rounds; ++round)
    bare.destroy(bare.create(options));
  const std::int64_t after = heap_bytes_in_use();
  context.expect(after <= before + allowed,
                 fmt::format("{} objects made and destroyed hold {} bytes", rounds, after - before));
}

void two_live_side_by_side(Context& context) {
  Bare bare(context);
  const PluginOptions options = context.options();
  void* const first = bare.create(options);
  void* const second = bare.create(options);
  context.expect(first != second, "two calls of create gave the same object");
  bare.destroy(first);
  context.expect(bare.query(second, "weft.test/nothing") == nullptr, "an unknown interface was found");
  void* const third = bare.create(options);
  bare.destroy(third);
  bare.destroy(second);
}

void another_thread_may_destroy(Context& context) {
  Bare bare(context);
  void* const object = bare.create();
  context.run_threads(1, [&](int) { bare.destroy(object); });
}

// The ends of each declared range, one option at a time; the rest as in the profile.
std::vector<std::pair<std::string, OptionValue>> edges_of(const std::vector<OptionDeclaration>& declared) {
  std::vector<std::pair<std::string, OptionValue>> edges;
  for (const OptionDeclaration& option : declared) {
    const OptionRange& range = option.range;
    if (option.type == OptionSpec::Type::boolean) edges.insert(edges.end(), {{option.key, true}, {option.key, false}});
    if (option.type == OptionSpec::Type::string)
      for (const std::string& word : range.words)
        edges.emplace_back(option.key, word);
    for (const auto& end : {range.least_int, range.most_int})
      if (end) edges.emplace_back(option.key, *end);
    for (const auto& end : {range.least, range.most})
      if (end && option.type == OptionSpec::Type::number) edges.emplace_back(option.key, *end);
  }
  return edges;
}

void declared_values_are_taken(Context& context) {
  Bare bare(context);
  const PluginOptions usual = context.options();
  int made = 0;
  int refused = 0;
  for (const auto& [key, value] : edges_of(context.plugin().info.options)) {
    PluginOptions options = usual;
    for (auto& [name, current] : options.values)
      if (name == key) current = value;
    Error error{ErrorCode::internal, "", false};
    if (void* const object = bare.try_create(options, &error)) {
      bare.destroy(object);
      ++made;
      continue;
    }
    ++refused;
    context.expect(!error.message.empty(), fmt::format("create refused an end of '{}'s range without a message", key));
    context.expect(weft::to_string(error.code) != "unknown",
                   fmt::format("create gave error code {}", static_cast<int>(error.code)));
  }
  context.note(fmt::format("{} values at the ends of ranges: {} made an object, {} were refused with a reason",
                           made + refused, made, refused));
}

void end_is_prompt(Context& context) {
  Bare bare(context);
  const Duration limit = context.scaled(std::chrono::seconds(2));
  void* const object = bare.create();
  const Time started = Clock::now();
  bare.destroy(object);
  context.expect(Clock::now() - started <= limit, "destroy of an unused object took over 2 s");
}

void unknown_interfaces_are_null(Context& context) {
  Bare bare(context);
  void* const object = bare.create();
  const Holdings before = look_at_holdings();
  const std::string longest(100'000, 'x');
  for (const std::string_view id : {std::string_view("weft.test/nothing"), std::string_view(""),
                                    std::string_view(longest), std::string_view("weft\0x", 6)})
    context.expect(bare.query(object, id) == nullptr,
                   fmt::format("query() found an interface of the name '{}'", id.substr(0, 40)));
  expect_no_more(context, before, "after query() of unknown interfaces");
  bare.destroy(object);
}

}  // namespace

std::vector<Case> lifetime_cases() {
  return {
      {"PL-30", Level::must, "", "1", "create makes an object of the profile's options and the defaults",
       "Everything else begins with it.", create_makes_an_object},
      {"PL-31", Level::must, "", "1", "a hundred objects made and destroyed leave no thread, process or descriptor",
       "Replicas restart for weeks.", rounds_leave_nothing},
      {"PL-32", Level::must, "", "1", "a hundred objects made and destroyed hold no memory",
       "Replicas restart for weeks.", rounds_keep_memory},
      {"PL-33", Level::must, "", "1", "objects live side by side, and the end of one does not touch another",
       "A process may hold two groups' communicators or two devices.", two_live_side_by_side},
      {"PL-34", Level::must, "", "1", "any thread may destroy an object", "The host's last reference may be anywhere.",
       another_thread_may_destroy},
      {"PL-35", Level::must, "", "1", "destroying an unused object takes no longer than 2 s",
       "A run that is given up must end.", end_is_prompt},
      {"PL-36", Level::must, "", "1", "every declared value makes an object, or an error that says why",
       "The host promises the user what the declaration says.", declared_values_are_taken},
      {"PL-40", Level::must, "", "1", "query() of an unknown interface gives null and does nothing else",
       "Newer hosts ask for what older plugins do not know.", unknown_interfaces_are_null},
  };
}

}  // namespace weft::conformance
