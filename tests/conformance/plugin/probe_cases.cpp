// What loading and probing do, and what they leave behind.
#include <fmt/format.h>

#include <array>
#include <cstring>

#include "tests/conformance/plugin/bare.h"
#include "tests/conformance/plugin/footprint.h"
#include "tests/conformance/plugin/groups.h"

namespace weft::conformance {
namespace {

void loading_leaves_nothing(Context& context) {
  const Holdings before = look_at_holdings();
  Bare(context).load();
  expect_no_more(context, before, "after dlopen and weft_plugin()");
  expect_no_processes(context, "after dlopen and weft_plugin()");
}

void probe_leaves_nothing(Context& context) {
  Bare bare(context);
  bare.load();
  const Holdings before = look_at_holdings();
  for (int again = 0; again < 3; ++again)
    bare.probe();
  expect_no_more(context, before, "after probe");
  expect_no_processes(context, "after probe");
}

void probe_is_steady(Context& context) {
  Bare bare(context);
  std::string first_reason;
  const int first = bare.probe(&first_reason);
  for (int again = 0; again < 3; ++again) {
    std::string reason;
    const int answer = bare.probe(&reason);
    context.expect((answer == 0) == (first == 0) && reason == first_reason,
                   fmt::format("probe said {} ('{}'), and then {} ('{}')", first, first_reason, answer, reason));
  }
}

void probe_keeps_to_its_buffer(Context& context) {
  constexpr char sentinel = 0x5a;
  const weft_plugin_descriptor& descriptor = Bare(context).load();
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{8}, std::size_t{256}}) {
    std::array<char, 1024> buffer;
    buffer.fill(sentinel);
    const int answer = descriptor.probe(buffer.data(), size);
    for (std::size_t index = size; index < buffer.size(); ++index)
      context.expect(buffer[index] == sentinel, fmt::format("probe wrote at {} of a buffer of {} bytes", index, size));
    context.expect(answer == 0 || size == 0 || std::memchr(buffer.data(), '\0', size) != nullptr,
                   fmt::format("the reason in a buffer of {} bytes has no end", size));
  }
}

}  // namespace

std::vector<Case> probe_cases() {
  return {
      {"PL-20", Level::must, "", "1", "loading the library starts no thread and no process, and opens nothing",
       "`weft plugins list` loads every library that it finds.", loading_leaves_nothing},
      {"PL-21", Level::must, "", "1", "probe leaves no thread, process or descriptor behind",
       "A host probes what it may never use.", probe_leaves_nothing},
      {"PL-22", Level::must, "", "1", "probe gives the same answer when it is asked again",
       "`weft check` and `weft run` must agree.", probe_is_steady},
      {"PL-23", Level::must, "", "1", "probe writes its reason within the buffer, with an end",
       "The buffer is on the host's stack.", probe_keeps_to_its_buffer},
  };
}

}  // namespace weft::conformance
