#include "core/config/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/config/config.h"
#include "core/config/field.h"
#include "core/plugin/option_value.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

// A number as the units' parsers read it; without look-ahead, which some editors' expressions lack.
constexpr std::string_view any_number = "[0-9]+(\\.[0-9]+)?";
constexpr std::string_view number_above_zero = "([0-9]*[1-9][0-9]*(\\.[0-9]+)?|[0-9]+\\.[0-9]*[1-9][0-9]*)";
constexpr std::string_view duration_units = "(ns|us|ms|s|m|h|d)";
constexpr std::string_view byte_units = "(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?";
// Above 0% and at most 100%.
constexpr std::string_view share = "(100(\\.0+)?|[1-9][0-9]?(\\.[0-9]+)?|0?\\.[0-9]*[1-9][0-9]*)%";

// A default's TOML text as JSON. An OptionValue is a JSON value but for the variant around it.
Json json_of(const OptionValue& value) {
  return std::visit([](const auto& held) { return Json(held); }, value);
}
void add_default(Json& schema, std::string_view toml) {
  if (toml.empty()) return;
  if (const auto value = parse_toml_value(toml)) schema["default"] = json_of(*value);
}

std::vector<std::string> words_of(std::string_view range, std::string_view separator) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at <= range.size();) {
    const std::size_t end = std::min(range.find(separator, at), range.size());
    words.emplace_back(range.substr(at, end - at));
    at = end + separator.size();
  }
  return words;
}

// "1..4096", "2..".
void add_bounds(Json& schema, std::string_view range) {
  const std::size_t dots = range.find("..");
  if (dots == std::string_view::npos) return;
  if (const auto low = parse_toml_value(range.substr(0, dots))) schema["minimum"] = json_of(*low);
  if (const auto high = parse_toml_value(range.substr(dots + 2))) schema["maximum"] = json_of(*high);
}

// One key of a table of weft's own.
Json schema_of(const ConfigField& field) {
  Json schema;
  schema["description"] =
      field.range.empty() ? std::string(field.help) : fmt::format("{} ({})", field.help, field.range);
  if (field.type == "integer") {
    schema["type"] = "integer";
    add_bounds(schema, field.range);
  } else if (field.type == "boolean") {
    schema["type"] = "boolean";
    if (field.range == "false") schema["const"] = false;
  } else {
    schema["type"] = "string";
    if (field.range == "0s")
      schema["pattern"] = fmt::format("^(0+(\\.0+)? *{}|0 *)$", duration_units);
    else if (field.type == "duration")
      schema["pattern"] = duration_pattern(field.range.empty());
    else if (field.type == "size or share")
      schema["pattern"] = fmt::format("^({} *{}|{})$", number_above_zero, byte_units, share);
    else if (!field.pattern.empty())
      schema["pattern"] = field.pattern;
    else if (field.range.find(" | ") != std::string_view::npos)
      schema["enum"] = words_of(field.range, " | ");
    else if (!field.range.empty())
      schema["const"] = field.range;  // one word alone is legal
  }
  add_default(schema, field.default_value);
  return schema;
}

void add_range(Json& schema, const OptionDeclaration& option) {
  if (option.range.least_int) schema["minimum"] = *option.range.least_int;
  if (option.range.most_int) schema["maximum"] = *option.range.most_int;
  if (option.range.least) schema["minimum"] = *option.range.least;
  if (option.range.most) schema["maximum"] = *option.range.most;
}

Json words_schema(const OptionDeclaration& option) {
  Json schema{{"type", "string"}};
  if (!option.range.words.empty()) schema["enum"] = option.range.words;
  return schema;
}

// One option of a plugin.
Json schema_of(const OptionDeclaration& option) {
  Json schema;
  switch (option.type) {
    case OptionSpec::Type::boolean: schema["type"] = "boolean"; break;
    case OptionSpec::Type::integer:
      schema["type"] = "integer";
      add_range(schema, option);
      break;
    case OptionSpec::Type::number:
      schema["type"] = "number";
      add_range(schema, option);
      break;
    case OptionSpec::Type::string: schema = words_schema(option); break;
    case OptionSpec::Type::duration:
      schema["type"] = "string";
      schema["pattern"] = duration_pattern(option.range.least_int.value_or(0) <= 0);
      break;
    case OptionSpec::Type::bytes: {
      Json whole{{"type", "integer"}, {"minimum", 0}};
      add_range(whole, option);
      schema["anyOf"] = Json::array(
          {whole, {{"type", "string"}, {"pattern", bytes_pattern(option.range.least_int.value_or(0) <= 0)}}});
      break;
    }
    case OptionSpec::Type::string_list:
      schema["type"] = "array";
      schema["items"] = words_schema(option);
      break;
  }
  schema["description"] =
      option.range_text.empty() ? option.help : fmt::format("{} ({})", option.help, option.range_text);
  add_default(schema, option.default_text.value_or(""));
  return schema;
}

// What [KIND.config] may hold for one plugin.
Json options_schema(const PluginInfo& plugin) {
  Json schema{{"description", fmt::format("Options of {}/{}: {}", plugin.kind, plugin.name, plugin.summary)},
              {"type", "object"},
              {"additionalProperties", false},
              {"properties", Json::object()}};
  Json required = Json::array();
  for (const OptionDeclaration& option : plugin.options) {
    schema["properties"][option.key] = schema_of(option);
    if (!option.default_text) required.push_back(option.key);
  }
  if (!required.empty()) schema["required"] = required;
  return schema;
}

std::string definition_of(const PluginInfo& plugin) { return plugin.kind + "-" + plugin.name; }

// When a table means that plugin for sure: by its name, or by the default's; a file of one's own may be anything.
Json means(const PluginInfo& plugin, bool is_default) {
  const Json named{{"properties", {{"plugin", {{"const", plugin.name}}}}}};
  const Json without_path{{"not", {{"required", Json::array({"path"})}}}};
  Json condition = named;
  if (!is_default) condition["required"] = Json::array({"plugin"});  // an absent key meets what is said of it
  return {{"allOf", Json::array({condition, without_path})}};
}

void add_plugins(Json& table, std::string_view kind, std::span<const PluginInfo> plugins) {
  Json& choice = table["properties"]["plugin"];
  const std::string fallback = choice.value("default", "");
  Json names = Json::array();
  Json rules = Json::array();
  if (fallback == "auto") names.push_back(fallback);
  for (const PluginInfo& plugin : plugins) {
    if (plugin.kind != kind) continue;
    names.push_back(plugin.name);
    rules.push_back({{"if", means(plugin, plugin.name == fallback)},
                     {"then", {{"properties", {{"config", {{"$ref", "#/$defs/" + definition_of(plugin)}}}}}}}});
    // An option without a default has to be written, so its table has to be there.
    if (std::any_of(plugin.options.begin(), plugin.options.end(), [](const auto& o) { return !o.default_text; }))
      rules.back()["then"]["required"] = Json::array({"config"});
  }
  // The names are only offered: a plugin of one's own has another.
  choice["anyOf"] = Json::array({{{"enum", names}}, {{"pattern", choice["pattern"]}}});
  choice.erase("pattern");
  table["properties"]["config"] = {{"description", "The plugin's own options: `weft plugins inspect KIND/NAME`."},
                                   {"type", "object"},
                                   {"additionalProperties", {{"$ref", "#/$defs/option"}}}};
  if (!rules.empty()) table["allOf"] = rules;
}

}  // namespace

std::string duration_pattern(bool zero_is_legal) {
  return zero_is_legal ? fmt::format("^({} *{}|0 *)$", any_number, duration_units)
                       : fmt::format("^{} *{}$", number_above_zero, duration_units);
}

std::string bytes_pattern(bool zero_is_legal) {
  return fmt::format("^{} *{}$", zero_is_legal ? any_number : number_above_zero, byte_units);
}

Json config_schema(std::span<const PluginInfo> plugins) {
  Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
              {"title", "weft.toml"},
              {"description",
               "One file describes a cluster of copies of a language model. Generated by "
               "`weft config schema`."},
              {"type", "object"},
              {"additionalProperties", false},
              {"required", Json::array({"model"})},
              {"properties", Json::object()},
              {"$defs", Json::object()}};
  Json& tables = schema["properties"];
  for (const ConfigField& field : config_fields()) {
    Json& table = tables[std::string(field.table)];
    if (table.is_null()) table = {{"type", "object"}, {"additionalProperties", false}, {"properties", Json::object()}};
    table["properties"][std::string(field.key)] = schema_of(field);
    if (field.required) table["required"].push_back(field.key);
  }
  for (const ConfigPluginTable& table : config_plugin_tables())
    add_plugins(tables[std::string(table.table)], table.kind, plugins);
  schema["$defs"]["option"] = {{"anyOf", Json::array({{{"type", Json::array({"string", "number", "boolean"})}},
                                                      {{"type", "array"}, {"items", {{"type", "string"}}}}})}};
  for (const PluginInfo& plugin : plugins)
    schema["$defs"][definition_of(plugin)] = options_schema(plugin);
  return schema;
}

}  // namespace weft
