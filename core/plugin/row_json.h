// How a child of discover() tells its parent what it found: JSON lines. The parent trusts none of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/plugin/plugin_host.h"

namespace weft {

std::string stage_line(Stage stage);
std::string row_line(const DiscoveredPlugin& row);
std::string end_line();

// Fills the row from all lines; a later outcome counts more. Where the end did not come, or something that cannot be
// read did, returns the last stage that began.
std::optional<Stage> read_row(std::string_view lines, DiscoveredPlugin& row);

}  // namespace weft
