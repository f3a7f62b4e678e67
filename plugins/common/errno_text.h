// What the system says of an errno.
#pragma once

#include <string>
#include <system_error>

namespace weft::plugins {

inline std::string errno_text(int code) { return std::generic_category().message(code); }

}  // namespace weft::plugins
