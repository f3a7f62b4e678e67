// The command line of weft-conformance.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/conformance/harness/case.h"

namespace weft::conformance {

inline constexpr const char* suite_version = "1";

inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_refused = 4;
inline constexpr int exit_interrupted = 130;

struct Arguments {
  std::string plugin;
  std::vector<std::string> plugin_dirs;
  std::string profile;
  Level level = Level::must;
  std::string filter;
  int jobs = 1;
  std::string out;
  std::uint64_t seed = 0;
  bool list = false;
  int retries = 0;
  double time_scale = 1;
  std::string mustpass;
  std::string page;  // --page FILE --report FILE: write a report into a plugin's page, run nothing
  std::string report;
};

// The arguments, or the exit code to end with (after --help, --version or a mistake, which is then said).
struct ParsedArguments {
  std::optional<Arguments> arguments;
  int exit_code = exit_ok;
};
ParsedArguments parse_arguments(int argc, char** argv);

}  // namespace weft::conformance
