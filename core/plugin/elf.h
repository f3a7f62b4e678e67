// The second stage: is this file a whole shared library of this machine that exports the symbol? Reads the
// file and runs nothing of it, so that a text file, a truncated library or one of another machine is refused
// in plain words.
#pragma once

#include <string_view>

#include "core/plugin/file_policy.h"
#include "weft/status.h"

namespace weft {

// refused or data_loss: what was found, what was expected, what to do.
Status check_exports(const PluginFile& file, std::string_view symbol);

}  // namespace weft
