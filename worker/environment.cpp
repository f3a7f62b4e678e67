#include "worker/environment.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace weft::worker {
namespace {

Result<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0')
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{} is not set; `weft worker` is started by executors, `weft run` is the command for people",
                    name));
  return std::string(value);
}

template <class Integer>
Result<Integer> number(const char* name) {
  WEFT_ASSIGN(text, variable(name));
  Integer value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || value < 0)
    return fail(ErrorCode::invalid_argument, fmt::format("{}: found '{}', expected a number", name, text));
  return value;
}

}  // namespace

Result<Environment> read_environment() {
  Environment environment;
  WEFT_ASSIGN(head, variable("WEFT_HEAD"));
  environment.head = std::move(head);
  WEFT_ASSIGN(token, variable("WEFT_TOKEN"));
  environment.token = std::move(token);
  (void)unsetenv("WEFT_TOKEN");  // not for what this process may start, nor for a look into /proc by plugins
  WEFT_ASSIGN(rank, number<std::int32_t>("WEFT_RANK"));
  environment.rank = rank;
  WEFT_ASSIGN(incarnation, number<std::int64_t>("WEFT_INCARNATION"));
  environment.incarnation = incarnation;
  WEFT_ASSIGN(plugins, variable("WEFT_WORKER_PLUGINS"));
  const auto json = nlohmann::json::parse(plugins, nullptr, false);
  if (!json.is_array()) return fail(ErrorCode::invalid_argument, "WEFT_WORKER_PLUGINS: expected a JSON list");
  for (const auto& entry : json) {
    const auto text = [&](const char* key) {
      const auto found = entry.find(key);
      return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    if (!entry.is_object() || text("kind").empty() || text("path").empty())
      return fail(ErrorCode::invalid_argument, "WEFT_WORKER_PLUGINS: each entry needs kind, name and path");
    // Not pinned to the head's sha256: a difference is to be told and named by the head, which sees both.
    environment.plugins.push_back({.kind = text("kind"), .name = text("name"), .path = text("path")});
  }
  environment.log.name = fmt::format("rank {}", rank);
  if (const char* level = std::getenv("WEFT_LOG_LEVEL"); level != nullptr) {
    WEFT_ASSIGN_CONTEXT(parsed, log::parse_level(level), "WEFT_LOG_LEVEL");
    environment.log.level = parsed;
  }
  if (const char* format = std::getenv("WEFT_LOG_FORMAT"); format != nullptr) {
    WEFT_ASSIGN_CONTEXT(parsed, log::parse_format(format), "WEFT_LOG_FORMAT");
    environment.log.format = parsed;
  }
  return environment;
}

}  // namespace weft::worker
