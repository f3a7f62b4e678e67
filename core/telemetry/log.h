// Logging: one line on standard error is one event, whatever the message holds.
//
//   log::set_up({.level = LogLevel::debug, .name = "rank 3"});
//   log::info("cluster", "replica {} is ready after {} ms", replica, ms);
//
// text: 2026-11-24T02:36:22.123Z info  [rank 3] cluster: replica 1 is ready after 812 ms
// json: {"time":"2026-11-24T02:36:22.123Z","level":"info","name":"rank
// 3","component":"cluster","message":"..."}
//
// Every function may be called from any thread, also before set_up (then: info, text, no name). None throws;
// a line that cannot be written is lost.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "weft/host.h"
#include "weft/status.h"

namespace weft::log {

enum class Format : int { text = 0, json = 1 };

struct Options {
  LogLevel level = LogLevel::info;
  Format format = Format::text;
  std::string name;  // of this process, such as "rank 3"; empty: none
};

void set_up(const Options& options);
bool enabled(LogLevel level) noexcept;
// `component` is the room or the plugin's kind/name. Newlines and control characters are escaped.
void write(LogLevel level, std::string_view component, std::string_view message) noexcept;

// "trace" .. "error" and "text" | "json". invalid_argument lists what is legal.
Result<LogLevel> parse_level(std::string_view text);
Result<Format> parse_format(std::string_view text);
std::string_view to_string(LogLevel level) noexcept;

template <class... Args>
void write_formatted(LogLevel level, std::string_view component, fmt::format_string<Args...> format,
                     Args&&... args) noexcept {
  if (!enabled(level)) return;
  try {
    write(level, component, fmt::format(format, std::forward<Args>(args)...));
  } catch (...) {  // out of memory, or a formatter of the caller's that throws
    write(level, component, "(a message that could not be formatted)");
  }
}

template <class... Args>
void trace(std::string_view component, fmt::format_string<Args...> format, Args&&... args) noexcept {
  write_formatted(LogLevel::trace, component, format, std::forward<Args>(args)...);
}
template <class... Args>
void debug(std::string_view component, fmt::format_string<Args...> format, Args&&... args) noexcept {
  write_formatted(LogLevel::debug, component, format, std::forward<Args>(args)...);
}
template <class... Args>
void info(std::string_view component, fmt::format_string<Args...> format, Args&&... args) noexcept {
  write_formatted(LogLevel::info, component, format, std::forward<Args>(args)...);
}
template <class... Args>
void warn(std::string_view component, fmt::format_string<Args...> format, Args&&... args) noexcept {
  write_formatted(LogLevel::warn, component, format, std::forward<Args>(args)...);
}
template <class... Args>
void error(std::string_view component, fmt::format_string<Args...> format, Args&&... args) noexcept {
  write_formatted(LogLevel::error, component, format, std::forward<Args>(args)...);
}

}  // namespace weft::log
