// Which rule this process breaks: the value of WEFT_MUTANT.
#pragma once

#include <chrono>
#include <cstdlib>
#include <string_view>

namespace mutant {

inline bool breaks(std::string_view name) noexcept {
  static const char* const chosen = std::getenv("WEFT_MUTANT");
  return chosen != nullptr && name == chosen;
}

// A second more than the suite's bounds of two allow, by the run's scale of time.
inline std::chrono::seconds too_long() {
  const char* const scale = std::getenv("WEFT_MUTANT_TIME_SCALE");
  return std::chrono::seconds(3) * (scale == nullptr ? 1 : std::atoi(scale));
}

}  // namespace mutant
