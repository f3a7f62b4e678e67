// weft-conformance: see tests/conformance/README.md.
#include <fmt/format.h>

#include <csignal>
#include <cstring>

#include "tests/conformance/harness/arguments.h"
#include "tests/conformance/harness/cases.h"
#include "tests/conformance/harness/suite.h"

namespace {

// The exit code of a program that a plugin was told to start; -1: it is none.
int run_program(int argc, char** argv) {
  if (argc < 2 || argv[1][0] != '@') return -1;
  for (const auto& programs : {weft::conformance::executor_programs(), weft::conformance::communicator_programs()})
    for (const weft::conformance::Program& program : programs)
      if (std::strcmp(program.name, argv[1]) == 0) return program.run({argv + 2, static_cast<std::size_t>(argc - 2)});
  fmt::print(stderr, "weft-conformance: there is no program {}\n", argv[1]);
  return weft::conformance::exit_usage;
}

}  // namespace

int main(int argc, char** argv) {
  if (const int code = run_program(argc, argv); code >= 0) return code;
  (void)std::signal(SIGPIPE, SIG_IGN);
  try {
    const auto parsed = weft::conformance::parse_arguments(argc, argv);
    return parsed.arguments ? weft::conformance::run_suite(*parsed.arguments) : parsed.exit_code;
  } catch (const std::exception& error) {
    fmt::print(stderr, "weft-conformance: {}\n", error.what());
    return weft::conformance::exit_usage;
  }
}
