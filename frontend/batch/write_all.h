// write(2) to the last byte.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "weft/status.h"

namespace weft::frontend {

// One write where the system takes it whole, as it does for files; false with errno where it cannot.
inline bool write_all(int file, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t count = ::write(file, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

inline ErrorCode write_error(int error_number) noexcept {
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  return full ? ErrorCode::resource_exhausted : ErrorCode::permission_denied;
}

}  // namespace weft::frontend
