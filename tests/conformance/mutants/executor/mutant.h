// Which rule is broken: the environment variable WEFT_MUTANT names it; unset, none is.
#pragma once

#include <cstdlib>
#include <string_view>

namespace weft::mutant {

inline bool breaks(std::string_view mutant) {
  const char* const name = std::getenv("WEFT_MUTANT");
  return name != nullptr && mutant == name;
}

}  // namespace weft::mutant
