// The run: every chosen case in its processes, several at once, tried again where asked.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/conformance/harness/mustpass.h"
#include "tests/conformance/harness/outcome.h"
#include "tests/conformance/harness/profile.h"

namespace weft::conformance {

struct RunSpec {
  std::vector<const Case*> cases;
  std::vector<std::string> capabilities;
  std::string plugin_file;
  std::string program;               // this binary
  std::optional<MustPass> mustpass;  // the list that `cases` are of
  Profile profile;                   // with limits.time_scale as it is to be used
  std::uint64_t seed = 1;
  Level level = Level::must;
  int jobs = 1;
  int retries = 0;
  double time_scale = 1;                        // as on the command line, for the command that repeats
  std::function<void(const CaseResult&)> done;  // as each case ends
};

struct RunResult {
  std::vector<CaseResult> cases;  // each of RunSpec::cases, in their order
  bool interrupted = false;       // by SIGINT or SIGTERM; cases that had not ended are not_run

  int not_run() const;
};

// Forks; the caller has no other thread. Setup and teardown of the profile are the caller's (run_command).
Result<RunResult> run_cases(const RunSpec& spec);

// A set-up or tear-down command, from the profile's directory, stopped after `limit`.
Status run_command(const std::vector<std::string>& command, const std::string& directory,
                   std::chrono::milliseconds limit);

// The command that runs one case again, as a shell reads it.
std::string repeat_command(const RunSpec& spec, const Case& tested);

}  // namespace weft::conformance
