#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "core/config/field.h"

namespace weft {
namespace config_detail {

std::string toml_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      quoted += {'\\', c};
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      quoted += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    else
      quoted += c;
  }
  return quoted + '"';
}

namespace {

std::string toml_number(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".eni") == std::string::npos) text += ".0";
  return text;
}

std::string toml_list(const std::vector<std::string>& items) {
  std::string text = "[";
  for (const std::string& item : items)
    text += (text.size() == 1 ? "" : ", ") + toml_string(item);
  return text + "]";
}

}  // namespace

std::string toml_value(const OptionValue& value) {
  if (const auto* boolean = std::get_if<bool>(&value)) return *boolean ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *integer);
  if (const auto* number = std::get_if<double>(&value)) return toml_number(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return toml_string(*text);
  return toml_list(std::get<std::vector<std::string>>(value));
}

std::string describe_node(const toml::node& node) {
  if (const auto* text = node.as_string()) return fmt::format("string '{}'", text->get());
  if (const auto* integer = node.as_integer()) return fmt::format("integer {}", integer->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("number {}", number->get());
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  if (node.is_array()) return "a list";
  if (node.is_table()) return "a table";
  return "a date or time";
}

Result<OptionValue> option_value(const toml::node& node) {
  if (const auto* text = node.as_string()) return OptionValue(text->get());
  if (const auto* integer = node.as_integer()) return OptionValue(integer->get());
  if (const auto* number = node.as_floating_point()) return OptionValue(number->get());
  if (const auto* boolean = node.as_boolean()) return OptionValue(boolean->get());
  if (const auto* array = node.as_array()) {
    std::vector<std::string> items;
    for (const toml::node& item : *array) {
      if (!item.is_string())
        return fail(ErrorCode::invalid_argument,
                    fmt::format("found {} in a list, expected strings", describe_node(item)));
      items.push_back(item.as_string()->get());
    }
    return OptionValue(std::move(items));
  }
  return fail(ErrorCode::invalid_argument,
              fmt::format("found {}, expected a string, number, boolean or list of strings", describe_node(node)));
}

}  // namespace config_detail

std::string print_config(const Config& config) {
  using namespace config_detail;
  std::string out;
  std::string table;
  const auto print_plain = [&](const std::string& name) {
    for (const Field& field : fields())
      if (field.table == name)
        if (const std::string value = field.print(config); !value.empty())
          out += fmt::format("{} = {}\n", field.key, value);
  };
  for (const Field& field : fields()) {
    bool plugin = false;
    for (const PluginTable& candidate : plugin_tables())
      plugin |= candidate.table == field.table;
    if (plugin || field.table == table) continue;
    table = field.table;
    out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", table);
    print_plain(table);
  }
  for (const PluginTable& candidate : plugin_tables()) {
    const PluginChoice& choice = config.*(candidate.choice);
    out += fmt::format("\n[{}]\n", candidate.table);
    if (!choice.plugin.empty()) out += fmt::format("plugin = {}\n", toml_string(choice.plugin));
    if (!choice.path.empty()) out += fmt::format("path = {}\n", toml_string(choice.path));
    if (!choice.sha256.empty()) out += fmt::format("sha256 = {}\n", toml_string(choice.sha256));
    print_plain(candidate.table);
    if (choice.options.empty()) continue;
    out += fmt::format("[{}.config]\n", candidate.table);
    for (const UserOption& option : choice.options)
      out += fmt::format("{} = {}\n", toml_string(option.key), toml_value(option.value));
  }
  return out;
}

std::string hash_config(const Config& config) {
  const std::string text = print_config(config);
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::vector<ConfigField> config_fields() {
  using namespace config_detail;
  std::vector<ConfigField> made;
  const Config defaults;
  const auto add = [&](const Field& field) {
    const bool required = field.table == "model" && field.key == "path";
    made.push_back({field.table, field.key, field.type, field.range, field.help,
                    required ? std::string() : field.print(defaults), required, field.pattern});
  };
  const auto add_table = [&](std::string_view table) {
    for (const Field& field : fields())
      if (field.table == table) add(field);
  };
  const auto is_known = [&](std::string_view table) {
    return std::any_of(made.begin(), made.end(), [&](const ConfigField& field) { return field.table == table; });
  };
  for (const Field& field : fields()) {
    const auto plugin = std::find_if(plugin_tables().begin(), plugin_tables().end(),
                                     [&](const PluginTable& candidate) { return candidate.table == field.table; });
    if (plugin == plugin_tables().end() && !is_known(field.table)) add_table(field.table);
  }
  for (const PluginTable& candidate : plugin_tables()) {
    made.push_back({candidate.table, "plugin", "string", "", "The plugin's name.",
                    toml_string((defaults.*candidate.choice).plugin), false, "^[a-z][a-z0-9_]{0,63}$"});
    made.push_back({candidate.table, "path", "string", "", "The plugin's file, where it is not searched by name.", "",
                    false, "^.+$"});
    made.push_back({candidate.table, "sha256", "string", "64 hexadecimal digits",
                    "Pins the plugin's file to these contents.", "", false, "^[0-9a-f]{64}$"});
    add_table(candidate.table);
  }
  return made;
}

std::vector<ConfigPluginTable> config_plugin_tables() {
  std::vector<ConfigPluginTable> made;
  for (const config_detail::PluginTable& table : config_detail::plugin_tables())
    made.push_back({table.table, table.kind});
  return made;
}

}  // namespace weft
