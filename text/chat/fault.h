// How an error travels inside this room, and how a rendering is bounded.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "weft/status.h"

namespace weft::text::jinja {

// Thrown by the lexer, the parser and the interpreter; ChatTemplate turns it into an Error, so it never leaves the room.
// A value instead would put an `if` after each of some hundred calls in code that mirrors Python's expressions, where
// every operation can raise.
struct Fault {
  ErrorCode code = ErrorCode::invalid_argument;
  std::string message;
};

// throw fault("TypeError: '{}' object is not iterable", type);
template <class... Args>
Fault fault(fmt::format_string<Args...> format, Args&&... args) {
  return Fault{ErrorCode::invalid_argument, fmt::format(format, std::forward<Args>(args)...)};
}

// What is left of RenderLimits. Whoever makes or walks something of a size that a template chooses pays for it first.
class Budget {
 public:
  Budget(std::uint64_t steps, std::size_t string_bytes) : steps_(steps), string_bytes_(string_bytes) {}

  void spend(std::uint64_t steps) {
    if (steps > steps_)
      throw Fault{ErrorCode::resource_exhausted,
                  "the template takes more steps than its limit; is there an endless loop?"};
    steps_ -= steps;
  }
  // For a string of `bytes` about to be made.
  void spend_string(std::size_t bytes) {
    if (bytes > string_bytes_)
      throw Fault{ErrorCode::resource_exhausted,
                  fmt::format("the template makes a text of more than {} bytes, which is its limit", string_bytes_)};
    spend(1 + bytes / 16);
  }
  void check_length(std::size_t bytes) const {
    if (bytes > string_bytes_)
      throw Fault{ErrorCode::resource_exhausted,
                  fmt::format("the template makes a text of more than {} bytes, which is its limit", string_bytes_)};
  }

 private:
  std::uint64_t steps_;
  std::size_t string_bytes_;
};

}  // namespace weft::text::jinja
