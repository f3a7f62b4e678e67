#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "core/config/field.h"
#include "core/plugin/suggest.h"

namespace weft {
namespace {

using config_detail::Field;
using config_detail::fields;
using config_detail::plugin_tables;

constexpr std::size_t max_text = 1u << 20;  // bytes: a configuration, not a data file

// A problem with its place in the file, so that all can be sorted; what came from --set sorts behind the file.
struct Found {
  toml::source_position at;
  Problem problem;
};

class Reader {
 public:
  explicit Reader(const ConfigSource& source) : source_(source) {}

  ParsedConfig read() {
    if (!parse()) return {.config = {}, .problems = std::move(problems()), .unreadable = true};
    for (const std::string& text : source_.overrides)
      override_with(text);
    for (auto&& [key, node] : root_)
      read_top(key, node);
    finish();
    return {.config = std::move(config_), .problems = std::move(problems())};
  }

 private:
  bool parse() {
    if (source_.text.size() > max_text) {
      add({0, 0}, source_.name,
          fmt::format("{} bytes, expected at most {}: is this a configuration?", source_.text.size(), max_text));
      return false;
    }
    try {
      root_ = toml::parse(std::string_view(source_.text), std::string_view(source_.name));
      return true;
    } catch (const toml::parse_error& error) {
      add(error.source().begin, at(error.source().begin), std::string(error.description()));
      return false;
    }
  }

  // "a.b=value": the value as TOML, or as a bare string where it is none.
  void override_with(const std::string& text) {
    const std::size_t equals = text.find('=');
    std::string path = text.substr(0, equals);
    while (!path.empty() && path.back() == ' ')
      path.pop_back();
    if (equals == std::string::npos || path.find('.') == std::string::npos || path.empty()) {
      add(last_, "--set " + text, "expected --set table.key=value, as in --set parallel.data=4");
      return;
    }
    toml::table parsed;
    try {
      parsed = toml::parse("v = " + text.substr(equals + 1));
    } catch (const toml::parse_error&) {
      parsed.clear();
    }
    toml::table* table = &root_;
    std::size_t begin = 0;
    for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', begin)) {
      const std::string name = path.substr(begin, dot - begin);
      toml::node* next = table->get(name);
      if (next == nullptr) next = &table->insert_or_assign(name, toml::table{}).first->second;
      table = next->as_table();
      if (table == nullptr) {
        add(last_, "--set " + path, fmt::format("'{}' is not a table", path.substr(0, dot)));
        return;
      }
      begin = dot + 1;
    }
    const std::string key = path.substr(begin);
    if (parsed.size() == 1 && parsed.contains("v"))
      table->insert_or_assign(key, std::move(*parsed.get("v")));
    else
      table->insert_or_assign(key, text.substr(equals + 1));
    overridden_.insert(path);
  }

  void read_top(const toml::key& key, toml::node& node) {
    const std::string name(key.str());
    if (name == "serve")
      return add(key, name, "[serve] is not in this version: there is no `weft serve` yet; take the table out");
    std::vector<std::string> known;
    for (const Field& field : fields())
      if (known.empty() || known.back() != field.table) known.push_back(field.table);
    for (const auto& table : plugin_tables())
      known.push_back(table.table);
    if (std::find(known.begin(), known.end(), name) == known.end())
      return add(key, name, fmt::format("unknown table [{}]{}", name, did_you_mean(name, known)));
    if (!node.is_table())
      return add(key, name, fmt::format("'{}' is a table: write [{}] on a line of its own", name, name));
    const auto plugin = std::find_if(plugin_tables().begin(), plugin_tables().end(),
                                     [&](const auto& table) { return table.table == name; });
    PluginChoice* choice = plugin == plugin_tables().end() ? nullptr : &(config_.*(plugin->choice));
    if (choice != nullptr) choice->where = node.source().begin.line == 0 ? "--set " + name : at(node.source().begin);
    for (auto&& [inner, value] : *node.as_table())
      read_key(name, inner, value, choice);
  }

  void read_key(const std::string& table, const toml::key& key, toml::node& node, PluginChoice* choice) {
    const std::string name(key.str());
    if (choice != nullptr && read_plugin_key(table, key, node, *choice)) return;
    std::vector<std::string> known;
    if (choice != nullptr) known = {"plugin", "path", "sha256", "config"};
    for (const Field& field : fields()) {
      if (field.table != table) continue;
      if (field.key == name) {
        if (Status status = field.read(config_, node); !status)
          add(node, table + "." + name, fmt::format("[{}] {}: {}", table, name, status.error().message));
        return;
      }
      known.push_back(field.key);
    }
    add(key, table + "." + name, fmt::format("[{}] unknown key '{}'{}", table, name, did_you_mean(name, known)));
  }

  // Whether the key is one that every plugin table has.
  bool read_plugin_key(const std::string& table, const toml::key& key, toml::node& node, PluginChoice& choice) {
    const std::string name(key.str());
    const std::string path = table + "." + name;
    if (name == "config") {
      if (!node.is_table())
        add(node, path,
            fmt::format("[{}] config: found {}, expected a table", table, config_detail::describe_node(node)));
      else
        for (auto&& [inner, value] : *node.as_table())
          read_option(path, inner, value, choice);
      return true;
    }
    std::string* target = name == "plugin"   ? &choice.plugin
                          : name == "path"   ? &choice.path
                          : name == "sha256" ? &choice.sha256
                                             : nullptr;
    if (target == nullptr) return false;
    const auto* value = node.as_string();
    if (value == nullptr || value->get().empty()) {
      add(node, path,
          fmt::format("[{}] {}: found {}, expected a string", table, name, config_detail::describe_node(node)));
    } else if (name == "sha256" &&
               (value->get().size() != 64 || value->get().find_first_not_of("0123456789abcdef") != std::string::npos)) {
      add(node, path,
          fmt::format("[{}] sha256: expected 64 lower-case hexadecimal digits, as sha256sum prints them", table));
    } else {
      *target = value->get();
      if (name == "plugin") named_.insert(table);
    }
    return true;
  }

  void read_option(const std::string& table, const toml::key& key, toml::node& node, PluginChoice& choice) {
    const std::string name(key.str());
    const std::string path = table + "." + name;
    if (Result<OptionValue> value = config_detail::option_value(node))
      choice.options.push_back({.key = name, .value = std::move(*value), .where = where(path, node.source().begin)});
    else
      add(node, path, fmt::format("[{}] {}: {}", table, name, value.error().message));
  }

  // What no single key can say.
  void finish() {
    if (config_.model.path.empty() && found_.empty())
      add(last_, source_.name,
          "[model] path is missing: it names the model's directory and is the one key without a default");
    const auto absolute = [&](std::string& path) {
      if (!path.empty() && path.front() != '/')
        path = (std::filesystem::path(source_.base_directory) / path).lexically_normal().string();
    };
    absolute(config_.model.path);
    absolute(config_.model.chat_template);
    absolute(config_.cluster.run_dir);
    for (const auto& table : plugin_tables()) {
      PluginChoice& choice = config_.*(table.choice);
      absolute(choice.path);
      if (!choice.path.empty() && named_.count(table.table) == 0) choice.plugin.clear();  // the file tells its own name
    }
    if (config_.cluster.name.empty() || config_.cluster.name.find_first_not_of(name_characters) != std::string::npos ||
        config_.cluster.name.front() == '.')
      add(last_, "cluster.name",
          fmt::format("[cluster] name: found '{}', expected letters, digits, '-', '_' and '.'", config_.cluster.name));
  }

  static constexpr const char* name_characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

  std::string at(toml::source_position position) const {
    return fmt::format("{}:{}:{}", source_.name, position.line, position.column);
  }
  std::string where(const std::string& path, toml::source_position position) const {
    return overridden_.count(path) != 0 ? "--set " + path : at(position);
  }
  void add(toml::source_position position, std::string place, std::string message) {
    found_.push_back({position, {std::move(place), std::move(message)}});
  }
  void add(const toml::key& key, const std::string& path, std::string message) {
    const bool ours = key.source().begin.line == 0;  // a key that --set made
    add(ours ? last_ : key.source().begin, ours ? "--set " + path : where(path, key.source().begin),
        std::move(message));
  }
  void add(const toml::node& node, const std::string& path, std::string message) {
    const bool ours = overridden_.count(path) != 0;
    add(ours ? last_ : node.source().begin, where(path, node.source().begin), std::move(message));
  }

  std::vector<Problem>& problems() {
    std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
      return a.at.line != b.at.line ? a.at.line < b.at.line : a.at.column < b.at.column;
    });
    for (Found& found : found_)
      problems_.push_back(std::move(found.problem));
    return problems_;
  }

  static constexpr toml::source_position last_{0x7fffffff, 0};
  const ConfigSource& source_;
  toml::table root_;
  Config config_;
  std::set<std::string> overridden_;
  std::set<std::string> named_;  // plugin tables with a `plugin` key
  std::vector<Found> found_;
  std::vector<Problem> problems_;
};

}  // namespace

std::string to_string(const Problem& problem) {
  return problem.where.empty() ? problem.message : problem.where + ": " + problem.message;
}

std::string to_string(std::span<const Problem> problems) {
  std::string lines;
  for (const Problem& problem : problems)
    lines += (lines.empty() ? "" : "\n") + to_string(problem);
  return lines;
}

namespace {

tl::expected<Config, std::vector<Problem>> good_or_problems(ParsedConfig parsed) {
  if (!parsed.problems.empty()) return tl::unexpected(std::move(parsed.problems));
  return std::move(parsed.config);
}

}  // namespace

tl::expected<Config, std::vector<Problem>> parse_config(const ConfigSource& source) {
  return good_or_problems(Reader(source).read());
}

tl::expected<Config, std::vector<Problem>> load_config(const std::string& path, std::vector<std::string> overrides) {
  return good_or_problems(read_config(path, std::move(overrides)));
}

ParsedConfig read_config(const std::string& path, std::vector<std::string> overrides) {
  namespace fs = std::filesystem;
  std::error_code code;
  const auto one = [&](std::string message, bool missing = false) {
    return ParsedConfig{.config = {}, .problems = {{path, std::move(message)}}, .unreadable = true, .missing = missing};
  };
  if (!fs::exists(path, code)) return one("no such file; `weft run --help` shows the smallest one", true);
  if (!fs::is_regular_file(path, code)) return one("not a regular file, expected a TOML file");
  std::ifstream file(path, std::ios::binary);
  std::string text(max_text + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (!file && !file.eof())) return one("cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  const fs::path directory = fs::absolute(path, code).parent_path();
  const ConfigSource source{
      .text = std::move(text), .name = path, .base_directory = directory.string(), .overrides = std::move(overrides)};
  return Reader(source).read();
}

}  // namespace weft
