#include "core/telemetry/log.h"

#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <atomic>
#include <memory>

#include "core/telemetry/log_line.h"

namespace weft::log {
namespace {

struct LevelName {
  LogLevel level;
  std::string_view name;
  spdlog::level::level_enum spdlog_level;
};
constexpr std::array<LevelName, 5> level_names{{
    {LogLevel::trace, "trace", spdlog::level::trace},
    {LogLevel::debug, "debug", spdlog::level::debug},
    {LogLevel::info, "info", spdlog::level::info},
    {LogLevel::warn, "warn", spdlog::level::warn},
    {LogLevel::error, "error", spdlog::level::err},
}};

const LevelName& entry(LogLevel level) noexcept {
  const int index = static_cast<int>(level);
  return level_names[index < 0 || index > 4 ? 4 : static_cast<std::size_t>(index)];
}

class LineFormatter final : public spdlog::formatter {
 public:
  LineFormatter(Format format, std::string name) : format_(format), name_(std::move(name)) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    LogLevel level = LogLevel::error;
    for (const LevelName& candidate : level_names)
      if (candidate.spdlog_level == message.level) level = candidate.level;
    const Event event{.time = message.time,
                      .level = level,
                      .name = name_,
                      .component = {message.logger_name.data(), message.logger_name.size()},
                      .message = {message.payload.data(), message.payload.size()}};
    std::string line = render(format_, event);
    line += '\n';
    out.append(line.data(), line.data() + line.size());
  }

  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<LineFormatter>(format_, name_); }

 private:
  Format format_;
  std::string name_;
};

std::atomic<int> threshold{static_cast<int>(LogLevel::info)};

// One sink for the life of the process, never destroyed: plugins and static destructors may log until the
// very end. Its mutex guards the formatter and the stream, so set_up and write may meet.
spdlog::sinks::stderr_sink_mt& sink() {
  static auto* const made = [] {
    auto* fresh = new spdlog::sinks::stderr_sink_mt();
    fresh->set_formatter(std::make_unique<LineFormatter>(Format::text, ""));
    return fresh;
  }();
  return *made;
}

}  // namespace

void set_up(const Options& options) {
  sink().set_formatter(std::make_unique<LineFormatter>(options.format, options.name));
  threshold.store(static_cast<int>(options.level), std::memory_order_relaxed);
}

bool enabled(LogLevel level) noexcept { return static_cast<int>(level) >= threshold.load(std::memory_order_relaxed); }

void write(LogLevel level, std::string_view component, std::string_view message) noexcept {
  if (!enabled(level)) return;
  try {
    sink().log(spdlog::details::log_msg({component.data(), component.size()}, entry(level).spdlog_level,
                                        {message.data(), message.size()}));
  } catch (...) {  // a log that cannot be written has nowhere to say so
  }
}

Result<LogLevel> parse_level(std::string_view text) {
  for (const LevelName& candidate : level_names)
    if (candidate.name == text) return candidate.level;
  return fail(ErrorCode::invalid_argument,
              fmt::format("unknown log level '{}'; legal are trace, debug, info, warn, error", text));
}

Result<Format> parse_format(std::string_view text) {
  if (text == "text") return Format::text;
  if (text == "json") return Format::json;
  return fail(ErrorCode::invalid_argument, fmt::format("unknown log format '{}'; legal are text and json", text));
}

std::string_view to_string(LogLevel level) noexcept { return entry(level).name; }

}  // namespace weft::log
