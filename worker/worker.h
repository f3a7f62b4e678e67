// `weft worker`: the process that executors start. Joins the head, loads its shard, leads or follows until told to stop.
#pragma once

#include <string>

namespace weft::worker {

// `build`: version and revision of this program, which must be the head's. Returns the process's exit code: 0 after an
// orderly stop, 1 after a failure that the head was told of, 2 where the environment is not one that an executor made.
int run_worker(const std::string& build);

}  // namespace weft::worker
