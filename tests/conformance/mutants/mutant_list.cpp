#include "tests/conformance/mutants/mutant_list.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace weft::conformance {
namespace {

constexpr std::array root_keys{"kind", "controls", "profile", "sane", "covers", "exempt", "mutant"};
constexpr std::array mutant_keys{"name", "library", "breaks", "fails", "may_fail"};
constexpr std::array exempt_keys{"rule", "reason"};

class Reader {
 public:
  Reader(const std::filesystem::path& path, const std::vector<std::string>& rules, MutantList& list)
      : path_(path), folder_(path.parent_path().filename().string()), rules_(rules), list_(list) {}

  void read() {
    try {
      root_ = toml::parse_file(path_.string());
    } catch (const toml::parse_error& error) {
      return problem(std::string(error.description()));
    }
    expect_keys(root_, root_keys);
    if (ids_of(root_, "controls").size() < 5) problem("expected five controls");
    const toml::array* mutants = root_["mutant"].as_array();
    if (mutants == nullptr) return problem("no [[mutant]]");
    for (const toml::node& node : *mutants)
      if (const toml::table* one = node.as_table())
        read_mutant(*one);
      else
        problem("a mutant that is no table");
    for (const std::string& library : ids_of(root_, "sane"))
      list_.unbroken.push_back(mutant_of({}, file_of(library)));
    expect_covered();
  }

 private:
  void read_mutant(const toml::table& one) {
    expect_keys(one, mutant_keys);
    Mutant mutant = mutant_of(one, file_of(one["library"].value_or<std::string>("mutant")));
    if (mutant.name.empty() || !mutant.fails.contains(mutant.breaks))
      problem("mutant '" + mutant.name + "': it needs a name, and `breaks` among `fails`");
    for (const std::string& id : mutant.may_fail)
      if (mutant.fails.contains(id))
        problem("mutant '" + mutant.name + "': " + id + " is both in `fails` and in `may_fail`");
    if (!names_.insert(mutant.name).second) problem("two mutants '" + mutant.name + "'");
    for (const auto* set : {&mutant.fails, &mutant.may_fail})
      for (const std::string& id : *set)
        mutant.controls.erase(id);  // the others still show that it is only this that is broken
    // Of a library of its own the file has a fault whatever the switch says, unless `sane` names it.
    if (!one.contains("library") && !unbroken_) {
      list_.unbroken.push_back(mutant_of({}, mutant.library));
      unbroken_ = true;
    }
    broken_.insert(mutant.fails.begin(), mutant.fails.end());
    list_.mutants.push_back(std::move(mutant));
  }

  Mutant mutant_of(const toml::table& own, const std::string& file) const {
    const auto profile = root_["profile"].value<std::string>();
    return {.folder = folder_,
            .library = file,
            .name = own["name"].value_or<std::string>(""),
            .breaks = own["breaks"].value_or<std::string>(""),
            .fails = ids_of(own, "fails"),
            .may_fail = ids_of(own, "may_fail"),
            .controls = ids_of(root_, "controls"),
            .profile = profile ? (path_.parent_path() / *profile).string() : ""};
  }

  std::string file_of(const std::string& library) const {
    const std::string kind =
        root_["kind"].value_or<std::string>(folder_ == "balancer" ? "load_balancer" : std::string(folder_));
    return "libweft-" + kind + "-" + library + ".so";
  }

  void expect_covered() {
    const std::set<std::string> exempt = exempted();
    const auto prefix = root_["covers"].value<std::string>();
    if (!prefix) return;
    for (const std::string& id : rules_)
      if (id.starts_with(*prefix + "-") && !broken_.contains(id) && !exempt.contains(id))
        problem("no mutant fails " + id);
  }

  // Rules that no mutant can break, as the file says; each is a rule, has a reason, and is broken by none.
  std::set<std::string> exempted() {
    std::set<std::string> exempt;
    const toml::array* list = root_["exempt"].as_array();
    if (list == nullptr) return exempt;
    for (const toml::node& node : *list) {
      const toml::table* one = node.as_table();
      if (one == nullptr) {
        problem("an exemption that is no table");
        continue;
      }
      expect_keys(*one, exempt_keys);
      const std::string rule = (*one)["rule"].value_or<std::string>("");
      if ((*one)["reason"].value_or<std::string>("").empty()) problem("the exemption of '" + rule + "' has no reason");
      if (std::find(rules_.begin(), rules_.end(), rule) == rules_.end())
        problem("'" + rule + "' is exempt and no rule");
      if (broken_.contains(rule)) problem(rule + " is exempt, and a mutant fails it");
      exempt.insert(rule);
    }
    return exempt;
  }

  static std::set<std::string> ids_of(const toml::table& table, const char* key) {
    std::set<std::string> ids;
    if (const toml::array* list = table[key].as_array())
      for (const toml::node& item : *list)
        ids.insert(item.value_or<std::string>(""));
    return ids;
  }

  template <std::size_t count>
  void expect_keys(const toml::table& table, const std::array<const char*, count>& known) {
    for (auto&& [key, value] : table)
      if (std::find(known.begin(), known.end(), key.str()) == known.end())
        problem("unknown key '" + std::string(key.str()) + "'");
  }
  void problem(const std::string& text) { list_.problems.push_back(folder_ + "/mutants.toml: " + text); }

  const std::filesystem::path path_;
  const std::string folder_;
  const std::vector<std::string>& rules_;
  MutantList& list_;
  toml::table root_;
  std::set<std::string> names_;
  std::set<std::string> broken_;  // rules
  bool unbroken_ = false;
};

}  // namespace

MutantList read_mutants(const std::string& directory, const std::vector<std::string>& rules) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory))
    if (fs::exists(entry.path() / "mutants.toml")) files.push_back(entry.path() / "mutants.toml");
  std::sort(files.begin(), files.end());
  MutantList list;
  for (const fs::path& file : files)
    Reader(file, rules, list).read();
  return list;
}

}  // namespace weft::conformance
