#include "agent_lines.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>

namespace remote {
namespace {

using Json = nlohmann::json;

constexpr int agent_version = 1;
constexpr std::int64_t longest_grace_ms = 24LL * 3600 * 1000;  // more is refused by the agent

bool is_utf8(const std::string& text) {
  try {
    (void)Json(text).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

std::string base64(const std::string& bytes) {
  constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = (bits << 8U) | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i)
      text.push_back(at + i <= bytes.size() ? digits[(bits >> (18U - 6U * i)) & 63U] : '=');
  }
  return text;
}

// JSON is UTF-8; argv and environment are any bytes but null.
Json verbatim(const std::string& text) { return is_utf8(text) ? Json(text) : Json{{"base64", base64(text)}}; }

// What a key holds, or `otherwise` where it is missing, of another type or out of range.
std::int64_t integer_at(const Json& object, const char* key, std::int64_t otherwise) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return otherwise;
  if (found->is_number_unsigned() && found->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())
    return otherwise;
  return found->get<std::int64_t>();
}

std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

weft::Exit read_exit(const Json& event) {
  weft::Exit exit{.detail = text_at(event, "detail")};
  const std::string cause = text_at(event, "cause");
  if (cause == "code") exit.cause = weft::Exit::Cause::code;
  if (cause == "signal") exit.cause = weft::Exit::Cause::signal;
  if (cause == "never_started") exit.cause = weft::Exit::Cause::never_started;
  exit.value = static_cast<std::int32_t>(integer_at(event, "value", 0));
  return exit;
}

}  // namespace

std::string launch_line(const weft::GangSpec& gang, const weft::RankSpec& rank) {
  Json line = {
      {"weft_agent", agent_version},
      {"name", gang.gang.id + "/" + std::to_string(gang.gang.incarnation) + " rank " + std::to_string(rank.rank)},
      {"die_with_input", gang.die_with_head},
      {"cpus", rank.cpus},
      {"argv", Json::array()},
      {"env", Json::array()}};
  for (const std::string& argument : rank.argv)
    line["argv"].push_back(verbatim(argument));
  for (const auto& [name, value] : rank.env)
    line["env"].push_back(Json::array({verbatim(name), verbatim(value)}));
  if (!rank.log_path.empty()) line["log_path"] = verbatim(rank.log_path);
  // A gang's id is the caller's and only used in messages here.
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string describe_line() { return Json{{"weft_agent", agent_version}, {"describe", true}}.dump() + "\n"; }

std::string stop_line(weft::Duration grace) {
  const std::int64_t milliseconds = std::chrono::ceil<std::chrono::milliseconds>(grace).count();
  return Json{{"stop", {{"grace_ms", std::clamp<std::int64_t>(milliseconds, 0, longest_grace_ms)}}}}.dump() + "\n";
}

AgentEvent read_event(const std::string& line) {
  AgentEvent event;
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return event;
  const std::string word = text_at(json, "event");
  event.detail = text_at(json, "detail");
  if (word == "started") {
    event.kind = AgentEvent::Kind::started;
    event.pid = integer_at(json, "pid", 0);
  } else if (word == "exit") {
    event.kind = AgentEvent::Kind::exit;
    event.exit = read_exit(json);
  } else if (word == "error") {
    event.kind = AgentEvent::Kind::error;
  } else if (word == "node") {
    event.kind = AgentEvent::Kind::node;
    event.memory = static_cast<weft::Bytes>(std::max<std::int64_t>(0, integer_at(json, "memory", 0)));
    if (const auto cpus = json.find("cpus"); cpus != json.end() && cpus->is_array())
      for (const Json& cpu : *cpus)
        if (cpu.is_number_unsigned() && cpu.get<std::uint64_t>() <= 65'535) event.cpus.push_back(cpu.get<int>());
  }
  return event;
}

}  // namespace remote
