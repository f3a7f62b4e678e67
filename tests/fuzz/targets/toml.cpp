#include "core/config/config.h"
#include "tests/fuzz/fuzz_targets.h"
#include "tests/fuzz/targets/promise.h"

namespace weft::fuzz {

void fuzz_toml(Input input) {
  const auto parse = [](std::string text) {
    return parse_config({.text = std::move(text), .name = "weft.toml", .base_directory = "/", .overrides = {}});
  };
  const auto config = parse(std::string(as_text(input)));
  if (!config) {
    promise(!config.error().empty(), "refused without a problem");
    for (const Problem& problem : config.error()) {
      promise(!problem.where.empty() && !problem.message.empty(), "a problem without place or message");
      promise(!text::first_invalid_utf8(to_string(problem)), "a problem is not UTF-8");
    }
    return;
  }
  const auto again = parse(print_config(*config));
  promise(again.has_value(), "what print_config writes is refused");
  promise(hash_config(*again) == hash_config(*config), "print_config does not say what was read");
}

}  // namespace weft::fuzz
