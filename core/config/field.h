// One row of the table of keys: how a key is read from TOML, printed back, and described. Private to core/config.
#pragma once

#include <toml++/toml.h>

#include <functional>
#include <string>
#include <vector>

#include "core/config/config.h"

namespace weft::config_detail {

struct Field {
  std::string table;
  std::string key;
  std::string type;
  std::string range;
  std::string help;
  // Puts the node's value into the configuration; the error says what was found and what was expected.
  std::function<Status(Config&, const toml::node&)> read;
  // The value as TOML; empty: leave the key out.
  std::function<std::string(const Config&)> print;
  std::string pattern = {};  // of a string, for editors: a regular expression (ECMA 262) for all of it
};

// All keys but the plugins' own options, in the order in which they are printed.
const std::vector<Field>& fields();

// A table "[executor]" whose keys choose a plugin and whose sub-table "config" belongs to that plugin.
struct PluginTable {
  std::string table;
  std::string kind;
  PluginChoice Config::*choice;
};
const std::vector<PluginTable>& plugin_tables();

std::string toml_string(std::string_view text);  // quoted and escaped
std::string toml_value(const OptionValue& value);
std::string describe_node(const toml::node& node);  // "string 'four'", "integer 7", for messages
Result<OptionValue> option_value(const toml::node& node);

}  // namespace weft::config_detail
