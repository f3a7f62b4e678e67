// What `weft run` does about a plugin that ends the process: it says which, and fails.
#pragma once

#include <string>

#include "core/routing/guarded_balancer.h"

namespace weft::cli {

// While one lives, exit() called by anyone in this process, which a plugin's call is the usual place for, prints which
// call was running and ends with exit_refused; else the run would end as if all had gone well. A forked child's exit is
// its own affair. One at a time in a process; made and destroyed on one thread. The balancer outlives it.
class RunGuard {
 public:
  explicit RunGuard(const GuardedBalancer& balancer);
  ~RunGuard();  // the regular end
  RunGuard(const RunGuard&) = delete;
  RunGuard& operator=(const RunGuard&) = delete;

  // What an end by force removes there: the token and the endpoint.
  void set_run_directory(const std::string& path);
};

}  // namespace weft::cli
