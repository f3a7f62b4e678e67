// The schema's expressions and weft's own parsers are of one mind.
#include "core/config/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "core/config/config.h"
#include "core/plugin/units.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

bool matches(const std::string& pattern, const std::string& text) {
  return std::regex_search(text, std::regex(pattern, std::regex::ECMAScript));
}

// Numbers and units in every mixture, and what is neither.
std::vector<std::string> amounts() {
  std::vector<std::string> all{"", " ", "-1s", "s", "MiB", "1e3s", "0x1s", "1 s s", "+1s", "1s ", " 1s", "1\ts"};
  for (const char* number : {"0", "00", "1", "007", "10", "0.0", "0.5", "1.25", "10.0", ".5", "5.", "1.2.3"})
    for (const char* unit : {"",   "ns", "us", "ms", "s",  "m",   "h",   "d",   "S",   "min", "B",
                             "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "mib"})
      for (const char* space : {"", " ", "  "})
        all.push_back(std::string(number) + space + unit);
  return all;
}

TEST(ConfigSchema, ADurationMatchesWhereItIsOne) {
  for (const std::string& text : amounts()) {
    const auto parsed = parse_duration(text);
    EXPECT_EQ(matches(duration_pattern(true), text), parsed.has_value()) << "'" << text << "'";
    // Half a nanosecond is above zero and rounds up.
    EXPECT_EQ(matches(duration_pattern(false), text), parsed.has_value() && *parsed > Duration::zero())
        << "'" << text << "'";
  }
}

TEST(ConfigSchema, ASizeMatchesWhereItIsOne) {
  for (const std::string& text : amounts()) {
    const auto parsed = parse_bytes(text);
    EXPECT_EQ(matches(bytes_pattern(true), text), parsed.has_value()) << "'" << text << "'";
    EXPECT_EQ(matches(bytes_pattern(false), text), parsed.has_value() && *parsed > 0) << "'" << text << "'";
  }
}

// A file with one value of one key, as weft reads it.
bool is_good(const std::string& table, const std::string& key, const std::string& value) {
  const std::string text = "[model]\npath = \"m\"\n[" + table + "]\n" + key + " = \"" + value + "\"\n";
  return parse_config({.text = text, .name = "weft.toml", .base_directory = "/", .overrides = {}}).has_value();
}

TEST(ConfigSchema, ThePatternsOfKeysAreThoseOfTheParser) {
  const Json tables = config_schema({})["properties"];
  const auto check = [&](const std::string& table, const std::string& key, const std::vector<std::string>& values) {
    const std::string pattern = tables[table]["properties"][key]["pattern"];
    for (const std::string& value : values)
      EXPECT_EQ(matches(pattern, value), is_good(table, key, value)) << table << "." << key << " = '" << value << "'";
  };
  check("engine", "kv_memory",
        {"60%", "100%", "100.0%", "101%", "0%", "0.0%", "0.5%", "12.5%", "%", "-1%", "60 %", "1GiB", "0"});
  check("cluster", "name", {"a", "A-b_c.1", ".a", "", "a/b", "../x", "a b", "-"});
  check("cluster", "listen", {"127.0.0.1:0", "127.0.0.1", "localhost:1", ":1", "127.0.0.1:x", "1.2.3:4"});
  check("timeouts", "rejoin", {"0s", "0", "0.0 m", "3s", "0parsecs", ""});
  check("timeouts", "join", {"1s", "0s", "0", "1", "0.5 h"});
}

TEST(ConfigSchema, HasEveryKeyWithItsDescriptionAndDefault) {
  const Json schema = config_schema({});
  for (const ConfigField& field : config_fields()) {
    const Json& key = schema["properties"][std::string(field.table)]["properties"][std::string(field.key)];
    ASSERT_TRUE(key.is_object()) << field.table << "." << field.key;
    EXPECT_THAT(key["description"].get<std::string>(), ::testing::HasSubstr(std::string(field.help)));
    EXPECT_EQ(key.contains("default"), !field.default_value.empty()) << field.table << "." << field.key;
  }
  EXPECT_EQ(schema["properties"]["parallel"]["properties"]["data"]["maximum"], 4096);
  EXPECT_EQ(schema["properties"]["model"]["required"], Json::array({"path"}));
}

TEST(ConfigSchema, HasTheOptionsOfPluginsWhereTheyAreMeant) {
  PluginInfo plugin;
  plugin.kind = "load_balancer";
  plugin.name = "mine";
  plugin.options = {*check_declaration({"ttl", OptionSpec::Type::duration, "\"5s\"", "1ms..1h", "How long."}),
                    *check_declaration({"share", OptionSpec::Type::number, nullptr, "0..1", "How much."}),
                    *check_declaration({"words", OptionSpec::Type::string_list, "[\"a\"]", "a|b", "Which."})};
  const Json schema = config_schema(std::vector{plugin});
  const Json& options = schema["$defs"]["load_balancer-mine"];
  EXPECT_EQ(options["required"], Json::array({"share"}));
  EXPECT_EQ(options["properties"]["ttl"]["pattern"], duration_pattern(false));
  EXPECT_EQ(options["properties"]["ttl"]["default"], "5s");
  EXPECT_EQ(options["properties"]["share"]["maximum"], 1.0);
  EXPECT_EQ(options["properties"]["words"]["items"]["enum"], Json::array({"a", "b"}));
  EXPECT_EQ(options["properties"]["words"]["default"], Json::array({"a"}));
  const Json& rule = schema["properties"]["balancer"]["allOf"][0];
  EXPECT_EQ(rule["then"]["properties"]["config"]["$ref"], "#/$defs/load_balancer-mine");
  EXPECT_EQ(rule["then"]["required"], Json::array({"config"})) << "share has no default";
}

}  // namespace
}  // namespace weft
