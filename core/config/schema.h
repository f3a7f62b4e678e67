// A JSON Schema (draft 2020-12) of weft.toml, so that editors complete and check it: a TOML document is checked as the
// JSON value that it stands for. It says what one key alone can say. What it cannot, `weft check` says: whether files are
// there, what one key means for another, a duration's or size's bounds other than zero.
//
// Pure; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "core/plugin/plugin_host.h"

namespace weft {

// With the options of these plugins in [KIND.config]; those of any other plugin are free.
nlohmann::ordered_json config_schema(std::span<const PluginInfo> plugins);

// Regular expressions (ECMA 262) for what parse_duration and parse_bytes take, as far as an expression can tell.
std::string duration_pattern(bool zero_is_legal);
std::string bytes_pattern(bool zero_is_legal);

}  // namespace weft
