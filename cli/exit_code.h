// What `weft` returns to a shell.
#pragma once

#include "weft/status.h"

namespace weft::cli {

enum ExitCode : int {
  exit_ok = 0,
  exit_some_failed = 1,  // some requests failed or are left
  exit_usage = 2,        // usage or configuration
  exit_not_found = 3,
  exit_refused = 4,      // a plugin was refused, or ended the process
  exit_not_started = 5,  // the cluster could not start
  exit_interrupted = 130,
};

// The code that fits an error met before anything was started.
constexpr int exit_code_of(const Error& error) noexcept {
  switch (error.code) {
    case ErrorCode::not_found: return exit_not_found;
    case ErrorCode::refused: return exit_refused;
    default: return exit_usage;
  }
}

}  // namespace weft::cli
