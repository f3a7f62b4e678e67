// A plugin's options as a profile gives them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/plugin/plugin_host.h"
#include "tests/conformance/harness/profile.h"

namespace weft::conformance {

// The profile's [config], with `overrides` (key, TOML text) in its place. A problem says where the profile has the value.
CheckedOptions plugin_options(const Profile& profile, const PluginInfo& plugin,
                              const std::vector<std::pair<std::string, std::string>>& overrides = {});

// Before any case runs: else each of them would fail by the same slip. invalid_argument lists every problem.
Status check_plugin_options(const Profile& profile, const PluginInfo& plugin);

}  // namespace weft::conformance
