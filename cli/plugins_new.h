// `weft plugins new`: a CMake project for a plugin, made of the templates that lie in share/weft/templates beside bin/.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "weft/status.h"

namespace weft::cli {

struct NewPlugin {
  std::string kind;
  std::string name;
  std::filesystem::path directory;  // made, with what leads to it; empty: `name` in the working directory
  std::filesystem::path templates;  // empty: those of this weft
};

// Writes the project and returns its files. invalid_argument: an unknown kind, or a name that no plugin can have;
// already_exists: a directory that holds anything; not_found: no templates.
Result<std::vector<std::filesystem::path>> write_new_plugin(NewPlugin wanted);

}  // namespace weft::cli
