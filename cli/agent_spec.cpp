#include "cli/agent_spec.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <nlohmann/json.hpp>

namespace weft::cli {
namespace {

using Json = nlohmann::json;

constexpr int deepest = 4;
constexpr std::int64_t longest_grace_ms = 24LL * 3600 * 1000;
constexpr std::int64_t highest_cpu = 65'535;

tl::unexpected<Error> bad(std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); }

// An object of known keys, or what is wrong with the line.
Result<Json> parse_object(std::string_view line, std::initializer_list<std::string_view> keys) {
  bool too_deep = false;
  const auto shallow = [&](int depth, Json::parse_event_t, Json&) {
    too_deep |= depth > deepest;
    return depth <= deepest;
  };
  Json parsed;
  try {
    parsed = Json::parse(line, shallow);
  } catch (const Json::exception& error) {
    return bad(fmt::format("expected one line that is a JSON object: {}", error.what()));
  }
  if (too_deep) return bad("the JSON is nested too deeply");
  if (!parsed.is_object()) return bad(fmt::format("expected a JSON object, found {}", parsed.type_name()));
  for (const auto& [key, value] : parsed.items())
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      return bad(fmt::format("unknown key '{}'; expected {}", key, fmt::join(keys, ", ")));
  return parsed;
}

// Strict: the standard alphabet, padded, nothing between.
Result<std::string> decode_base64(std::string_view text) {
  std::array<int, 256> values{};
  values.fill(-1);
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    values[static_cast<unsigned char>(alphabet[i])] = static_cast<int>(i);
  if (text.size() % 4 != 0) return bad("base64 of a length that is no multiple of 4");
  while (text.ends_with('=') && text.size() % 4 != 1)
    text.remove_suffix(1);
  if (text.size() % 4 == 1) return bad("base64 with too much padding");
  std::string bytes;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char digit : text) {
    const int value = values[static_cast<unsigned char>(digit)];
    if (value < 0) return bad(fmt::format("'{}' is no digit of base64", digit));
    bits = (bits << 6U) | static_cast<std::uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes.push_back(static_cast<char>((bits >> static_cast<unsigned>(held)) & 0xffU));
  }
  return bytes;
}

// A string, or bytes as {"base64": "..."}; neither holds a null character, which no operating system could pass on.
Result<std::string> text_of(const Json& value, const std::string& where) {
  std::string text;
  if (value.is_string()) {
    text = value.get<std::string>();
  } else if (value.is_object() && value.size() == 1 && value.contains("base64") && value["base64"].is_string()) {
    Result<std::string> decoded = decode_base64(value["base64"].get_ref<const std::string&>());
    if (!decoded) return fail(annotate(decoded.error(), where));
    text = std::move(*decoded);
  } else {
    return bad(fmt::format("{}: expected a string or {{\"base64\": \"...\"}}, found {}", where, value.type_name()));
  }
  if (text.find('\0') != std::string::npos) return bad(where + ": a null character cannot be passed to a program");
  return text;
}

Result<std::int64_t> integer_of(const Json& value, const std::string& where, std::int64_t least, std::int64_t most) {
  const bool fits = value.is_number_unsigned() ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most)
                                               : value.is_number_integer() && value.get<std::int64_t>() <= most;
  if (!fits || value.get<std::int64_t>() < least)
    return bad(fmt::format("{}: expected a whole number from {} to {}", where, least, most));
  return value.get<std::int64_t>();
}

Result<Duration> grace_of(const Json& value, const std::string& where) {
  WEFT_ASSIGN(milliseconds, integer_of(value, where, 0, longest_grace_ms));
  return std::chrono::milliseconds(milliseconds);
}

Status read_argv(const Json& json, RankSpec& rank) {
  if (!json.contains("argv") || !json["argv"].is_array() || json["argv"].empty())
    return bad("argv: expected a list that begins with the program's path");
  for (const Json& value : json["argv"]) {
    WEFT_ASSIGN(text, text_of(value, fmt::format("argv[{}]", rank.argv.size())));
    rank.argv.push_back(std::move(text));
  }
  if (rank.argv.front().empty()) return bad("argv[0]: expected the program's path, found an empty text");
  return {};
}

Status read_env(const Json& json, RankSpec& rank) {
  if (!json.contains("env")) return {};
  if (!json["env"].is_array()) return bad("env: expected a list of [\"NAME\", \"value\"]");
  for (const Json& pair : json["env"]) {
    const std::string where = fmt::format("env[{}]", rank.env.size());
    if (!pair.is_array() || pair.size() != 2) return bad(where + ": expected [\"NAME\", \"value\"]");
    WEFT_ASSIGN(name, text_of(pair[0], where));
    WEFT_ASSIGN(value, text_of(pair[1], where));
    if (name.empty() || name.find('=') != std::string::npos)
      return bad(fmt::format("{}: '{}' is no name of an environment variable", where, name));
    rank.env.emplace_back(std::move(name), std::move(value));
  }
  return {};
}

Status read_cpus(const Json& json, RankSpec& rank) {
  if (!json.contains("cpus")) return {};
  if (!json["cpus"].is_array() || json["cpus"].size() > static_cast<std::size_t>(highest_cpu) + 1)
    return bad("cpus: expected a list of CPU numbers");
  for (const Json& value : json["cpus"]) {
    WEFT_ASSIGN(cpu, integer_of(value, fmt::format("cpus[{}]", rank.cpus.size()), 0, highest_cpu));
    rank.cpus.push_back(static_cast<int>(cpu));
  }
  return {};
}

Status read_text(const Json& json, const char* key, std::string& into) {
  if (!json.contains(key)) return {};
  WEFT_ASSIGN(text, text_of(json[key], key));
  into = std::move(text);
  return {};
}

}  // namespace

Result<AgentSpecification> parse_agent_specification(std::string_view line) {
  WEFT_ASSIGN(json, parse_object(line, {"weft_agent", "argv", "env", "cwd", "cpus", "log_path", "name", "grace_ms",
                                        "die_with_input", "describe"}));
  if (!json.contains("weft_agent") || json["weft_agent"] != agent_version)
    return bad(fmt::format("weft_agent: this agent speaks version {}, the specification {}", agent_version,
                           json.contains("weft_agent") ? json["weft_agent"].dump() : "names none"));
  AgentSpecification made;
  if (json.contains("describe")) {
    if (json.size() != 2 || json["describe"] != true) return bad("describe: expected true, and no key beside it");
    made.describe = true;
    return made;
  }
  WEFT_TRY(read_argv(json, made.rank));
  WEFT_TRY(read_env(json, made.rank));
  WEFT_TRY(read_cpus(json, made.rank));
  WEFT_TRY(read_text(json, "log_path", made.rank.log_path));
  WEFT_TRY(read_text(json, "cwd", made.directory));
  WEFT_TRY(read_text(json, "name", made.name));
  if (json.contains("grace_ms")) {
    WEFT_ASSIGN(grace, grace_of(json["grace_ms"], "grace_ms"));
    made.grace = grace;
  }
  if (json.contains("die_with_input")) {
    if (!json["die_with_input"].is_boolean()) return bad("die_with_input: expected true or false");
    made.die_with_input = json["die_with_input"].get<bool>();
  }
  return made;
}

Result<AgentCommand> parse_agent_command(std::string_view line) {
  WEFT_ASSIGN(json, parse_object(line, {"stop", "signal"}));
  if (json.size() != 1) return bad("expected one command a line: {\"stop\": {\"grace_ms\": 500}} or {\"signal\": 10}");
  if (json.contains("signal")) {
    WEFT_ASSIGN(signal, integer_of(json["signal"], "signal", 1, NSIG - 1));
    return AgentCommand{.signal = static_cast<int>(signal)};
  }
  const Json& stop = json["stop"];
  if (!stop.is_object() || stop.size() != 1 || !stop.contains("grace_ms"))
    return bad("stop: expected {\"grace_ms\": 500}");
  WEFT_ASSIGN(grace, grace_of(stop["grace_ms"], "grace_ms"));
  return AgentCommand{.signal = 0, .grace = grace};
}

}  // namespace weft::cli
