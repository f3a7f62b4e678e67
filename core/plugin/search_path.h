// Where plugins are looked for. Never in the current directory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct SearchDirectory {
  std::string path;    // absolute
  std::string origin;  // for messages: "--plugin-dir", "WEFT_PLUGIN_PATH", "installed with weft"
};

// Directories in the order in which they are searched. An explicit `path =` comes before all of them and is
// not here.
struct SearchPath {
  std::vector<SearchDirectory> directories;
  std::vector<std::string> warnings;  // entries that were left out, and why

  // --plugin-dir (made absolute: the user named it), WEFT_PLUGIN_PATH (colon separated; relative and empty
  // entries are left out, because they would mean the current directory), then <prefix>/lib/weft/plugins,
  // where prefix is the parent of the directory of the running executable. Reads the environment: call it
  // before threads start.
  static SearchPath standard(const std::vector<std::string>& plugin_dirs);
};

// "libweft-<kind>-<name>.so".
std::string plugin_file_name(std::string_view kind, std::string_view name);
// Whether a text may be a plugin's name: a-z, 0-9 and _, starting with a letter, at most 64.
bool is_plugin_name(std::string_view text) noexcept;

}  // namespace weft
