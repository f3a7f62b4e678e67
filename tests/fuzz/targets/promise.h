// What targets hold the code to.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/utf8.h"
#include "weft/status.h"

namespace weft::fuzz {

inline void promise(bool kept, std::string_view what) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

// An error says something, and says it in UTF-8: it goes to logs, JSON and terminals.
inline void promise_message(const Error& error) {
  promise(!error.message.empty(), "an error without a message");
  promise(!text::first_invalid_utf8(error.message), "an error's message is not UTF-8");
}

inline std::string_view as_text(std::span<const std::uint8_t> input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

}  // namespace weft::fuzz
