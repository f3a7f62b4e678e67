#include "tests/conformance/harness/context.h"

namespace weft::conformance {
namespace {
constexpr std::size_t most_lines = 10'000;
}

void RecordingHost::log(LogLevel level, std::string_view message) noexcept {
  static constexpr const char* names[] = {"trace: ", "debug: ", "info: ", "warn: ", "error: "};
  const int index = static_cast<int>(level);
  try {
    const std::lock_guard lock(mutex_);
    if (lines_.size() < most_lines)
      lines_.push_back((index >= 0 && index < 5 ? names[index] : "unknown: ") + std::string(message));
  } catch (...) {  // out of memory: the line is lost
  }
}

bool RecordingHost::log_enabled(LogLevel level) const noexcept { return level >= LogLevel::debug; }
Time RecordingHost::now() const noexcept { return Clock::now(); }
void RecordingHost::counter_add(std::string_view, double) noexcept {}
void RecordingHost::gauge_set(std::string_view, double) noexcept {}
void RecordingHost::observe(std::string_view, double) noexcept {}
void* RecordingHost::query(std::string_view) noexcept { return nullptr; }

std::vector<std::string> RecordingHost::lines() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

}  // namespace weft::conformance
