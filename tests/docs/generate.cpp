// weft_docs --write|--check DOCS PLUGIN...
//
// Writes the generated parts of the documents, or says which differ: exit 0 where none does, 1 otherwise. PLUGIN: the
// files of the shipped plugins; each is read in a child process, as `weft plugins inspect` does.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/plugin/probe_child.h"
#include "tests/docs/pages.h"

namespace weft::docs {
namespace {

namespace fs = std::filesystem;

// What a plugin declares, also where it cannot work on this machine.
Result<std::vector<PluginInfo>> declarations(const std::vector<std::string>& files) {
  std::vector<PluginInfo> plugins;
  for (const std::string& file : files) {
    DiscoveredPlugin plugin;
    check_in_child({.file = file}, Deadline::in(std::chrono::minutes(1)), plugin);
    if (plugin.refusal && plugin.refusal->stage != Stage::probe) return fail(plugin.refusal->error);
    plugins.push_back(std::move(plugin.info));
  }
  std::sort(plugins.begin(), plugins.end(), [](const PluginInfo& a, const PluginInfo& b) {
    return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
  });
  return plugins;
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The first line in which they differ.
std::string difference(const std::string& found, const std::string& expected) {
  std::istringstream one(found);
  std::istringstream other(expected);
  std::string is;
  std::string should;
  for (int line = 1;; ++line) {
    const bool more = static_cast<bool>(std::getline(one, is));
    const bool wanted = static_cast<bool>(std::getline(other, should));
    if (!more && !wanted) return "they differ in their ends only";
    if (!more || !wanted || is != should)
      return fmt::format("line {}\n  is:        {}\n  should be: {}", line, more ? is : "(the end)",
                         wanted ? should : "(the end)");
  }
}

int run(bool write, const fs::path& docs, const std::vector<std::string>& files) {
  const auto plugins = declarations(files);
  const auto pages =
      plugins ? all_pages(docs, *plugins) : Result<std::map<fs::path, std::string>>(tl::unexpected(plugins.error()));
  if (!pages) {
    fmt::print(stderr, "docs: {}\n", pages.error().message);
    return 1;
  }
  int different = 0;
  for (const auto& [path, expected] : *pages) {
    const std::string found = text_of(path);
    if (found == expected) continue;
    ++different;
    if (write) {
      std::ofstream(path, std::ios::binary | std::ios::trunc) << expected;
      fmt::print("written: {}\n", path.string());
    } else {
      fmt::print(stderr, "{}: {}\n", path.string(), difference(found, expected));
    }
  }
  if (!write && different > 0)
    fmt::print(stderr, "{} documents are not what the code says; run ./dev docs\n", different);
  fmt::print("docs: {} plugins, {} generated files, {} {}\n", plugins->size(), pages->size(), different,
             write ? "written" : "differ");
  return write || different == 0 ? 0 : 1;
}

}  // namespace
}  // namespace weft::docs

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 3 || (arguments[0] != "--write" && arguments[0] != "--check")) {
    fmt::print(stderr, "usage: weft_docs --write|--check DOCS PLUGIN...\n");
    return 2;
  }
  return weft::docs::run(arguments[0] == "--write", arguments[1], {arguments.begin() + 2, arguments.end()});
}
