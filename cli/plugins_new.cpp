#include "cli/plugins_new.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <map>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "core/plugin/kinds.h"
#include "core/plugin/search_path.h"
#include "core/plugin/suggest.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;

// Targets that CMake makes itself.
constexpr std::array reserved = {"all",     "clean",          "depend",     "edit_cache",    "help", "install",
                                 "package", "package_source", "preinstall", "rebuild_cache", "test"};

Status check(const NewPlugin& wanted) {
  if (find_kind(wanted.kind) == nullptr)
    return fail(ErrorCode::invalid_argument,
                fmt::format("unknown kind '{}'; expected one of {}{}", wanted.kind, fmt::join(kind_names(), ", "),
                            did_you_mean(wanted.kind, kind_names())));
  if (!is_plugin_name(wanted.name))
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}' cannot be a plugin's name; expected a small letter, then at most 63 small letters, "
                            "digits or '_', as in 'my_{}'",
                            wanted.name, wanted.kind));
  if (std::find(reserved.begin(), reserved.end(), wanted.name) != reserved.end())
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("'{0}' is a target that CMake makes itself; take another name, as in 'my_{0}'", wanted.name));
  std::error_code error;
  if (fs::exists(wanted.directory, error) &&
      !(fs::is_directory(wanted.directory, error) && fs::is_empty(wanted.directory, error)))
    return fail(ErrorCode::already_exists,
                fmt::format("{} exists and is not an empty directory; nothing is overwritten: name another with "
                            "--directory",
                            wanted.directory.string()));
  return {};
}

Result<fs::path> own_templates() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail(ErrorCode::internal, "/proc/self/exe: " + error.message());
  return program.parent_path().parent_path() / "share/weft/templates";
}

// my_exec -> MyExec
std::string class_name(std::string_view name) {
  std::string made;
  bool capital = true;
  for (const char letter : name) {
    if (letter != '_') made.push_back(capital && letter >= 'a' ? static_cast<char>(letter - 'a' + 'A') : letter);
    capital = letter == '_';
  }
  return made;
}

std::map<std::string, std::string> words_of(const NewPlugin& wanted) {
  const std::string_view version(WEFT_VERSION);
  return {{"@NAME@", wanted.name},
          {"@CLASS@", class_name(wanted.name)},
          {"@KIND@", wanted.kind},
          {"@TABLE@", wanted.kind == "load_balancer" ? "balancer" : wanted.kind},
          {"@VERSION@", std::string(version.substr(0, version.rfind('.')))}};
}

Result<std::string> fill(const fs::path& file, const std::map<std::string, std::string>& words) {
  std::ifstream stream(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream.is_open() || text.empty()) return fail(ErrorCode::not_found, file.string() + ": cannot be read");
  for (const auto& [word, value] : words)
    for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += value.size())
      text.replace(at, word.size(), value);
  return text;
}

// What a template's file is called in the project.
std::string target_name(const fs::path& file, const std::string& name) {
  const std::string stem = file.stem().string();  // without ".in"
  if (stem == "plugin.cpp") return name + ".cpp";
  return stem == "gitignore" ? ".gitignore" : stem;
}

Result<std::map<std::string, std::string>> fill_all(const NewPlugin& wanted) {
  const auto words = words_of(wanted);
  std::map<std::string, std::string> files;
  for (const fs::path& folder : {wanted.templates / "common", wanted.templates / wanted.kind}) {
    std::error_code error;
    fs::directory_iterator entries(folder, error);
    if (error)
      return fail(ErrorCode::not_found,
                  fmt::format("templates {}: {}; they are installed with weft", folder.string(), error.message()));
    for (const fs::directory_entry& entry : entries) {
      if (entry.path().extension() != ".in") continue;
      WEFT_ASSIGN(text, fill(entry.path(), words));
      files[target_name(entry.path(), wanted.name)] = std::move(text);
    }
  }
  return files;
}

}  // namespace

Result<std::vector<fs::path>> write_new_plugin(NewPlugin wanted) {
  if (wanted.directory.empty()) wanted.directory = wanted.name;
  WEFT_TRY(check(wanted));
  if (wanted.templates.empty()) {
    WEFT_ASSIGN(templates, own_templates());
    wanted.templates = std::move(templates);
  }
  WEFT_ASSIGN(files, fill_all(wanted));
  std::error_code error;
  fs::create_directories(wanted.directory, error);
  if (error)
    return fail(ErrorCode::permission_denied, fmt::format("{}: {}; expected a directory that can be made",
                                                          wanted.directory.string(), error.message()));
  std::vector<fs::path> written;
  for (const auto& [name, text] : files) {
    const fs::path path = wanted.directory / name;
    std::ofstream stream(path, std::ios::binary);
    if (!(stream << text << std::flush))
      return fail(ErrorCode::permission_denied, path.string() + ": cannot be written");
    written.push_back(path);
  }
  return written;
}

void add_plugins_new(CLI::App& plugins, int& exit_code) {
  CLI::App* command = plugins.add_subcommand("new", "Write a CMake project for a plugin of your own");
  auto wanted = std::make_shared<NewPlugin>();
  command->add_option("kind", wanted->kind, fmt::format("{}", fmt::join(kind_names(), ", ")))
      ->required()
      ->type_name("KIND");
  command->add_option("name", wanted->name, "What weft.toml will call it")->required()->type_name("NAME");
  command->add_option("--directory", wanted->directory, "Where the project goes; default: NAME here")->type_name("DIR");
  command->footer(
      "The project builds, holds the rules for all plugins, and its README.md says what to fill in.\n\n"
      "Example:\n  weft plugins new executor my_exec\n  cmake -S my_exec -B my_exec/build && cmake --build "
      "my_exec/build");
  command->callback([wanted, &exit_code] {
    const auto written = write_new_plugin(*wanted);
    if (!written) {
      fmt::print(stderr, "weft plugins new: {}\n", written.error().message);
      exit_code = exit_code_of(written.error());
      return;
    }
    for (const fs::path& file : *written)
      fmt::print("{}\n", file.string());
    fmt::print(stderr, "{} says what to fill in\n", (written->front().parent_path() / "README.md").string());
  });
}

}  // namespace weft::cli
