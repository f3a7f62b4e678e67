// One file taken through the stages in a child process, so that a library that crashes, hangs or exits while
// it is looked at costs a row of `weft plugins list` and nothing more.
#pragma once

#include <string>

#include "core/plugin/plugin_host.h"
#include "core/plugin/stages.h"
#include "weft/time.h"

namespace weft {

// Forks, so it refuses with `internal` where this process has another thread than the caller's. Returns when the child and whatever it started in its process group
// are gone. `run.at` is not called. Fills all of the row but file, origin and shadowed.
void check_in_child(const StageRun& run, Deadline deadline, DiscoveredPlugin& row);

}  // namespace weft
