// How one event becomes one line. Pure, so that it can be tested without a terminal.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "core/telemetry/log.h"

namespace weft::log {

struct Event {
  std::chrono::system_clock::time_point time;
  LogLevel level = LogLevel::info;
  std::string_view name;
  std::string_view component;
  std::string_view message;
};

// Without a newline at its end, and with none inside. Bytes that are not UTF-8 become U+FFFD in JSON and pass
// through in text; control characters are escaped in both, so that no message can forge a line or drive a
// terminal.
std::string render(Format format, const Event& event);

}  // namespace weft::log
