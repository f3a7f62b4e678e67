// What docs/ holds of the code's own declarations: the keys of weft.toml, the shipped plugins, the JSON Schema.
//
// A page is written from what it was: text by hand stays, what is generated is replaced. Pure but for plugin_pages().
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/plugin/plugin_host.h"
#include "weft/status.h"

namespace weft::docs {

// docs/configuration.md: a table of keys between <!-- keys: TABLE --> and <!-- /keys -->, for each table of weft.toml.
Result<std::string> configuration_page(std::string text, const std::vector<PluginInfo>& plugins);

// docs/plugins/README.md: the list between <!-- shipped --> and <!-- /shipped -->, and the keys of a conformance profile
// between <!-- profile --> and <!-- /profile -->.
Result<std::string> plugins_page(std::string text, const std::vector<PluginInfo>& plugins);

// docs/plugins/KIND-NAME.md: all but what stands between the markers "introduction" and "conformance", which is kept
// from `text` (empty: a new page).
std::string plugin_page(const PluginInfo& plugin, const std::string& text);
bool is_plugin_page(const std::string& text);

// docs/weft.schema.json.
std::string schema_file(const std::vector<PluginInfo>& plugins);

// Every generated file of `docs`, by path, as it is to be. What a page lacks that only people can write is an error.
Result<std::map<std::filesystem::path, std::string>> all_pages(const std::filesystem::path& docs,
                                                               const std::vector<PluginInfo>& plugins);

}  // namespace weft::docs
