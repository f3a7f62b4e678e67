// The sidecar `<output>.weft-run`: which run an output belongs to.
#pragma once

#include <string>

#include "weft/status.h"

namespace weft::frontend {

struct RunIdentity {
  std::string input_hash;
  std::string model;  // what makes answers what they are
};

std::string sidecar_path(const std::string& output);
// not_found where there is none; data_loss where it cannot be understood. Both name the file.
Result<RunIdentity> read_sidecar(const std::string& output);
// Whole or not at all: written beside it, then renamed.
Status write_sidecar(const std::string& output, const RunIdentity& identity);
// already_exists says which part differs and what to do.
Status check_same_run(const std::string& output, const RunIdentity& found, const RunIdentity& ours);

}  // namespace weft::frontend
