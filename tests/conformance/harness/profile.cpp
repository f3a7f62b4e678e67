#include "tests/conformance/harness/profile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <filesystem>

#include "core/config/field.h"
#include "core/plugin/kinds.h"
#include "core/plugin/suggest.h"

namespace weft::conformance {
namespace {

const std::vector<std::string> tables = {"plugin", "config", "fixtures", "limits", "setup", "teardown", "waiver"};

class Reader {
 public:
  Reader(const std::string& path, const std::string& kind) : kind_(kind) { profile_.path = path; }

  Result<Profile> read() {
    toml::table root;
    std::error_code error;
    if (!std::filesystem::is_regular_file(profile_.path, error))
      return fail(ErrorCode::not_found, profile_.path + ": no such file, expected a profile in TOML");
    try {
      root = toml::parse_file(profile_.path);
    } catch (const toml::parse_error& bad) {
      add(bad.source().begin, std::string(bad.description()));
    }
    for (auto&& [key, node] : root)
      read_table(std::string(key.str()), node);
    expect_declared();
    if (problems_.empty()) return std::move(profile_);
    return fail(ErrorCode::invalid_argument, fmt::format("{}", fmt::join(problems_, "\n")));
  }

 private:
  void read_table(const std::string& name, const toml::node& node) {
    if (name == "waiver") return read_waivers(node);
    const toml::table* table = node.as_table();
    if (std::find(tables.begin(), tables.end(), name) == tables.end())
      return add(node, fmt::format("unknown table [{}]{}; there are {}", name, did_you_mean(name, tables),
                                   fmt::join(tables, ", ")));
    if (table == nullptr) return add(node, fmt::format("'{}' is {}, expected a table", name, describe(node)));
    for (auto&& [key, value] : *table)
      read_key(name, std::string(key.str()), value);
  }

  void read_key(const std::string& table, const std::string& key, const toml::node& node) {
    if (table == "config") {
      const Result<OptionValue> value = config_detail::option_value(node);
      if (!value) return add(node, fmt::format("[config] {}: {}", key, value.error().message));
      profile_.config[key] = config_detail::toml_value(*value);
      profile_.config_where[key] =
          fmt::format("{}:{}:{}", profile_.path, node.source().begin.line, node.source().begin.column);
    } else if (table == "fixtures") {
      asked_.push_back({.table = table, .key = key, .at = node.source().begin});
      if (node.is_boolean() && !**node.as_boolean()) return;  // as if it were not there
      profile_.fixtures[key] = fixture_values(key, node);
    } else if (table == "limits") {
      asked_.push_back({.table = table, .key = key, .at = node.source().begin});
      const std::optional<double> value = node.value<double>();
      if (!value || !(*value > 0))
        return add(node, fmt::format("[limits] {}: {}, expected a number over 0", key, describe(node)));
      profile_.limits[key] = *value;
    } else if (table == "plugin" && key == "kind") {
      profile_.kind = text_of(node, "[plugin] kind");
      if (!profile_.kind.empty() && find_kind(profile_.kind) == nullptr)
        add(node, fmt::format("[plugin] kind: '{}', expected one of {}", profile_.kind, fmt::join(kind_names(), ", ")));
    } else if ((table == "setup" || table == "teardown") && key == "command") {
      (table == "setup" ? profile_.setup : profile_.teardown) = command_of(table, node);
    } else {
      add(node, fmt::format("[{}] unknown key '{}'", table, key));
    }
  }

  // A key that no case of the kind asks for would change nothing, and nobody would know.
  void expect_declared() {
    const std::string& kind = profile_.kind.empty() ? kind_ : profile_.kind;
    for (const Asked& asked : asked_) {
      std::vector<std::string> known;
      std::string other;  // the kind that has it
      const auto look = [&](const auto& declarations) {
        for (const auto& one : declarations) {
          const bool ours = kind.empty() || one.kind.empty() || one.kind == kind;
          if (ours) known.emplace_back(one.name);
          if (!ours && one.name == asked.key) other = one.kind;
        }
      };
      if (asked.table == "limits")
        look(limit_declarations);
      else
        look(fixture_declarations);
      if (std::find(known.begin(), known.end(), asked.key) != known.end()) continue;
      const std::string what = other.empty()
                                   ? fmt::format("unknown key '{}'{}", asked.key, did_you_mean(asked.key, known))
                                   : fmt::format("'{}' is a key of {}s, and this is for a {}", asked.key, other, kind);
      add(asked.at,
          fmt::format("[{}] {}; {}", asked.table, what,
                      known.empty() ? "there are none" : fmt::format("there are {}", fmt::join(known, ", "))));
    }
  }

  std::vector<std::string> fixture_values(const std::string& key, const toml::node& node) {
    std::vector<std::string> values;
    if (const toml::array* list = node.as_array()) {
      for (const toml::node& item : *list)
        values.push_back(plain(key, item));
    } else {
      values.push_back(plain(key, node));
    }
    return values;
  }
  std::string plain(const std::string& key, const toml::node& node) {
    if (const auto* text = node.as_string()) return text->get();
    const Result<OptionValue> value = config_detail::option_value(node);
    if (value) return config_detail::toml_value(*value);
    add(node, fmt::format("[fixtures] {}: {}", key, value.error().message));
    return {};
  }

  std::vector<std::string> command_of(const std::string& table, const toml::node& node) {
    const Result<OptionValue> value = config_detail::option_value(node);
    if (value)
      if (const auto* list = std::get_if<std::vector<std::string>>(&*value); list != nullptr && !list->empty())
        return *list;
    add(node, fmt::format("[{}] command: {}, expected a list of strings: the program, then its arguments", table,
                          describe(node)));
    return {};
  }

  void read_waivers(const toml::node& node) {
    const toml::array* list = node.as_array();
    if (list == nullptr) return add(node, "waiver: write [[waiver]] for each of them");
    for (const toml::node& item : *list)
      if (const toml::table* table = item.as_table()) read_waiver(*table);
  }
  void read_waiver(const toml::table& table) {
    Waiver waiver;
    for (auto&& [key, node] : table) {
      const std::string name(key.str());
      if (name == "case") {
        waiver.case_id = text_of(node, "[[waiver]] case");
      } else if (name == "reason") {
        waiver.reason = text_of(node, "[[waiver]] reason");
      } else if (name == "link") {
        waiver.link = text_of(node, "[[waiver]] link");
      } else if (name == "expires" && node.is_date()) {
        const toml::date day = node.as_date()->get();
        waiver.expires = fmt::format("{:04}-{:02}-{:02}", day.year, day.month, day.day);
      } else if (name == "expires") {
        add(node, fmt::format("[[waiver]] expires: {}, expected a date: 2027-01-31", describe(node)));
      } else {
        add(node, fmt::format("[[waiver]] unknown key '{}'", name));
      }
    }
    if (waiver.case_id.empty() || waiver.reason.empty() || waiver.link.empty() || waiver.expires.empty())
      return add(table,
                 "[[waiver]] needs case, reason, link and expires (a date): a waiver is a promise to look again");
    profile_.waivers.push_back(std::move(waiver));
  }

  std::string text_of(const toml::node& node, std::string_view what) {
    if (const auto* text = node.as_string(); text != nullptr && !text->get().empty()) return text->get();
    add(node, fmt::format("{}: {}, expected a text", what, describe(node)));
    return {};
  }
  static std::string describe(const toml::node& node) { return config_detail::describe_node(node); }
  void add(const toml::node& node, const std::string& message) { add(node.source().begin, message); }
  void add(toml::source_position at, const std::string& message) {
    problems_.push_back(fmt::format("{}:{}:{}: {}", profile_.path, at.line, at.column, message));
  }

  // A key of [limits] or [fixtures].
  struct Asked {
    std::string table;
    std::string key;
    toml::source_position at;
  };

  const std::string kind_;
  Profile profile_;
  std::vector<Asked> asked_;
  std::vector<std::string> problems_;
};

}  // namespace

const std::vector<std::string>* Profile::fixture(Fixture fixture) const {
  const auto found = fixtures.find(std::string(fixture.declaration->name));
  return found == fixtures.end() ? nullptr : &found->second;
}

double Profile::limit(Limit limit) const {
  const auto found = limits.find(std::string(limit.declaration->name));
  return found == limits.end() ? limit.declaration->standard : found->second;
}

Result<Profile> load_profile(const std::string& path, const std::string& kind) { return Reader(path, kind).read(); }

}  // namespace weft::conformance
