// A plugin as people and programs read it: `weft plugins list`, `weft plugins inspect`, and its page in docs/plugins.
//
// Pure functions; any thread. What plugins say about themselves is printed without control characters.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/plugin/plugin_host.h"

namespace weft {

struct StageOutcome {
  Stage stage;
  std::string_view outcome;  // "passed", "failed", "not reached", "not tried"
};
// Each stage once, in order.
std::vector<StageOutcome> stage_outcomes(const DiscoveredPlugin& plugin);

// "executor/mp", out of the file's name, which is what a plugin is asked for by; the file's whole name where it says no kind and name.
std::string id_of_file(std::string_view file);
// What the kind knows and the plugin does not declare; nothing where the kind is not known.
std::vector<std::string> lacked_capabilities(const PluginInfo& info);

// `list`: a line a file, columns aligned; a Markdown table; an array.
std::string plugins_text(std::span<const DiscoveredPlugin> plugins);
std::string plugins_markdown(std::span<const DiscoveredPlugin> plugins);
nlohmann::ordered_json plugins_json(std::span<const DiscoveredPlugin> plugins);

// `inspect`: everything that is known of one.
std::string plugin_text(const DiscoveredPlugin& plugin);
std::string plugin_markdown(const DiscoveredPlugin& plugin);
nlohmann::ordered_json plugin_json(const DiscoveredPlugin& plugin);

// What is so wherever the plugin lies, for documents: capabilities and options as Markdown tables.
std::string capabilities_markdown(const PluginInfo& info);
std::string options_markdown(const PluginInfo& info);
// A text inside a cell of a table: one line, '|' escaped.
std::string markdown_cell(std::string_view text);
// The same as code; nothing where it is empty.
std::string markdown_code(std::string_view text);

}  // namespace weft
