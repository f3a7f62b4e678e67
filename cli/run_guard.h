// What `weft` does about a plugin that ends the process, or that it waits for in vain: it says which, and fails.
#pragma once

#include <sys/types.h>

#include <string>

#include "weft/time.h"

namespace weft::cli {

// While one lives, exit() called by anyone in this process, which a plugin's call is the usual place for, prints which
// call was running and ends with exit_refused; else the command would end as if all had gone well. A forked child's exit
// is its own affair. They nest, and are made and destroyed on one thread.
class RunGuard {
 public:
  RunGuard();
  ~RunGuard();  // the regular end
  RunGuard(const RunGuard&) = delete;
  RunGuard& operator=(const RunGuard&) = delete;

  // What an end by force removes there: the token and the endpoint.
  void set_run_directory(const std::string& path);

 private:
  const pid_t outer_;
};

// On the thread that hears signals, again and again once a run has been told to stop at once, `ago` before: ends the
// process with exit_interrupted when a plugin's call is past its limit, or when the end takes longer than `patience` for
// whatever reason. Takes no lock that a plugin's call may be made under. Workers die with the head.
void end_if_stuck(Duration ago, Duration patience);

}  // namespace weft::cli
