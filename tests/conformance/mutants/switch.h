// The one rule that this library is to break, by the environment variable WEFT_MUTANT.
#pragma once

#include <chrono>
#include <cstdlib>
#include <string_view>

namespace weft::mutant {

inline std::string_view broken_rule() {
  static const char* const name = std::getenv("WEFT_MUTANT");
  return name == nullptr ? std::string_view() : std::string_view(name);
}
inline bool breaks(std::string_view mutant) { return broken_rule() == mutant; }

// Bounds on time are stretched by this under sanitizers; what is too slow must be so there too.
inline std::chrono::milliseconds scaled(std::chrono::milliseconds time) {
  const char* const scale = std::getenv("WEFT_MUTANT_TIME_SCALE");
  return time * (scale == nullptr ? 1 : std::atoi(scale));
}

}  // namespace weft::mutant
