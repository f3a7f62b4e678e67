#include "core/wire/limits.h"

#include <fmt/format.h>

namespace weft::wire {

Status check_limits(const LinkLimits& limits) {
  const auto check = [](std::string_view name, std::uint64_t value, std::uint64_t low, std::uint64_t high) -> Status {
    if (value >= low && value <= high) return {};
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}, expected {} to {}", name, value, low, high));
  };
  WEFT_TRY(check("max_message", limits.max_message, 1024, 1u << 30));
  WEFT_TRY(check("window", limits.window, 1, 1u << 16));
  WEFT_TRY(check("max_queued", limits.max_queued, 1, 1u << 24));
  const auto dead_after = std::chrono::duration_cast<std::chrono::milliseconds>(limits.dead_after).count();
  if (dead_after < 100 || dead_after > 3'600'000) {
    return fail(ErrorCode::invalid_argument, fmt::format("dead_after: {} ms, expected 100 ms to an hour", dead_after));
  }
  return {};
}

}  // namespace weft::wire
