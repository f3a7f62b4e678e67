// One case in processes of its own: a warden, and under it the case.
//
// The warden is the subreaper of all that the case starts, whatever process groups and sessions those make for
// themselves: it stops the case at its deadline, then stops every process that is left, and says how many those were.
// It dies with the runner, and takes all of them along.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "tests/conformance/harness/context.h"
#include "tests/conformance/harness/outcome.h"

namespace weft::conformance {

struct RunningCase {
  const Case* tested = nullptr;
  pid_t warden = -1;
  int pipe = -1;  // the warden's answer, ours to read to its end and to close
  std::chrono::steady_clock::time_point started;
  std::string answer;
};

// Forks; the caller has no other thread. `limit`: after which the case is stopped.
Result<RunningCase> start_case(Context::Setup setup, std::chrono::milliseconds limit);
// Reads what there is; true once the warden has closed its end.
bool read_answer(RunningCase& running);
// Waits for the warden's end (it is over, or nearly) and closes the pipe. Outcome, message, notes, output and seconds.
CaseResult finish_case(RunningCase& running);

// In the case's own process: runs the body. What a case's process writes to its warden.
struct BodyResult {
  Outcome outcome = Outcome::pass;
  std::string message;
  std::vector<std::string> notes;
  std::vector<std::string> proven;
};
BodyResult run_body(Context& context);

}  // namespace weft::conformance
