// docs/configuration.md has one row for each key that weft.toml may have, as config_fields() describes it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "core/config/config.h"

namespace weft {
namespace {

// Defaults by "table.key", as `weft check --print` shows them.
std::map<std::string, std::string> defaults() {
  std::map<std::string, std::string> found;
  std::istringstream printed(print_config(Config{}));
  std::string table;
  for (std::string line; std::getline(printed, line);) {
    if (!line.empty() && line.front() == '[') table = line.substr(1, line.find(']') - 1);
    if (const auto equals = line.find(" = "); equals != std::string::npos)
      found[table + "." + line.substr(0, equals)] = line.substr(equals + 3);
  }
  found["model.path"] = "required";
  return found;
}

std::string escaped(std::string_view text) {
  std::string made;
  for (const char c : text)
    made += c == '|' ? std::string("\\|") : std::string(1, c);
  return made;
}

// A heading "## [table]", a head of the columns, and a row a key, in the order of config_fields().
std::string expected_row(const ConfigField& field, const std::string& value) {
  return fmt::format("| `{}` | {} | {} | {} | {} |", field.key, field.type, escaped(field.range),
                     value.empty() ? "" : "`" + value + "`", escaped(field.help));
}

std::vector<std::string> rows_of_page() {
  std::ifstream page(WEFT_SOURCE_DIR "/docs/configuration.md");
  std::vector<std::string> rows;
  std::string table;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("## ", 0) == 0) table.clear();
    if (line.rfind("## `[", 0) == 0) table = line.substr(5, line.find(']') - 5);
    if (!table.empty() && line.rfind("| `", 0) == 0) rows.push_back(table + ": " + line);
  }
  return rows;
}

TEST(ConfigurationPage, HasOneTrueRowForEachKey) {
  const auto values = defaults();
  std::multiset<std::string> wanted;
  for (const ConfigField& field : config_fields()) {
    const auto value = values.find(fmt::format("{}.{}", field.table, field.key));
    wanted.insert(fmt::format("{}: {}", field.table, expected_row(field, value == values.end() ? "" : value->second)));
  }
  for (const std::string& row : rows_of_page())
    if (const auto found = wanted.find(row); found != wanted.end())
      wanted.erase(found);
    else
      ADD_FAILURE() << "docs/configuration.md has a row that is not true (any more):\n" << row;
  for (const std::string& row : wanted)
    ADD_FAILURE() << "docs/configuration.md lacks this row (table: row):\n" << row;
}

}  // namespace
}  // namespace weft
