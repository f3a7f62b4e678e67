#include "tests/conformance/mutants/mutant_list.h"

#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>

namespace weft::conformance {
namespace {

std::set<std::string> ids_of(const toml::table& table, const char* key) {
  std::set<std::string> ids;
  if (const toml::array* list = table[key].as_array())
    for (const toml::node& item : *list)
      ids.insert(item.value_or<std::string>(""));
  return ids;
}

// The library of a folder, or of one mutant that names another.
std::string library_of(const toml::table& root, const toml::table& own, const std::string& folder) {
  const std::string kind =
      root["kind"].value_or<std::string>(folder == "balancer" ? "load_balancer" : std::string(folder));
  return "libweft-" + kind + "-" + own["library"].value_or<std::string>("mutant") + ".so";
}

void read_file(const std::filesystem::path& path, MutantList& list) {
  const std::string folder = path.parent_path().filename().string();
  const auto problem = [&](const std::string& text) { list.problems.push_back(folder + "/mutants.toml: " + text); };
  toml::table root;
  try {
    root = toml::parse_file(path.string());
  } catch (const toml::parse_error& error) {
    return problem(std::string(error.description()));
  }
  const std::set<std::string> controls = ids_of(root, "controls");
  if (controls.size() < 5) problem("expected five controls");
  const toml::array* mutants = root["mutant"].as_array();
  if (mutants == nullptr) return problem("no [[mutant]]");
  std::set<std::string> libraries;
  for (const toml::node& node : *mutants) {
    const toml::table& one = *node.as_table();
    Mutant mutant{.folder = folder,
                  .library = library_of(root, one, folder),
                  .name = one["name"].value_or<std::string>(""),
                  .breaks = one["breaks"].value_or<std::string>(""),
                  .fails = ids_of(one, "fails"),
                  .controls = controls};
    if (mutant.name.empty() || !mutant.fails.contains(mutant.breaks))
      problem("mutant '" + mutant.name + "': it needs a name, and `breaks` among `fails`");
    for (const std::string& id : mutant.fails)
      mutant.controls.erase(id);  // the others still show that it is only this that is broken
    if (libraries.insert(mutant.library).second && !one.contains("library"))
      list.unbroken.push_back({.folder = folder, .library = mutant.library, .controls = controls});
    list.mutants.push_back(std::move(mutant));
  }
}

}  // namespace

MutantList read_mutants(const std::string& directory) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory))
    if (fs::exists(entry.path() / "mutants.toml")) files.push_back(entry.path() / "mutants.toml");
  std::sort(files.begin(), files.end());
  MutantList list;
  for (const fs::path& file : files)
    read_file(file, list);
  return list;
}

}  // namespace weft::conformance
