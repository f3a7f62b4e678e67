// The stages that read the descriptor a library returned: size, abi, interface, fingerprint, runtime, name,
// capabilities, options.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/plugin/plugin_host.h"

namespace weft {

using StageObserver = std::function<void(Stage)>;

// What the name stage compares the descriptor with.
struct ExpectedName {
  std::string kind;       // empty: any
  std::string name;       // empty: any
  std::string file_name;  // "libweft-executor-mp.so"
};

// Calls `at` as each stage begins. Fills `info` as far as it gets. The Refusal's message says what was found
// and expected, without the file.
tl::expected<void, Refusal> check_descriptor(const weft_plugin_descriptor* descriptor, const ExpectedName& expected,
                                             const StageObserver& at, PluginInfo& info);

// Whether a plugin of this kind may declare the capability: one of the known, or "x-..." (the author's own).
bool is_known_capability(std::string_view kind, std::string_view capability);

}  // namespace weft
