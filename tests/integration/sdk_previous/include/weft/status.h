// Errors are values. A function that can fail returns Result<T>, or Status where there is nothing to hand back.
//
//   Result<Config> load(const std::string& path);
//   WEFT_ASSIGN(config, load(path));              // returns the error to our caller, or binds the value
//   WEFT_TRY(check(config));
//
// Context is added on the way up, outermost first: "weights: model.safetensors: tensor 'x': shape [2], expected [3]".
// Nothing throws across a plugin's boundary. All of this is safe to use from any thread.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace weft {

enum class ErrorCode : int {
  invalid_argument = 1,  // the caller's input is wrong and will be wrong again
  not_found,             // what was named does not exist
  already_exists,        // what was to be made exists
  failed_precondition,   // legal, but not in this state (closed, broken, not joined)
  unimplemented,         // this plugin cannot do it, by its nature or not yet
  deadline_exceeded,     // a deadline passed; the message names what was waited for
  unavailable,           // the other side is gone or not there yet
  aborted,               // somebody called abort(), or a peer failed
  cancelled,             // the caller no longer wants it
  resource_exhausted,    // memory, blocks, disk, descriptors
  data_loss,             // a file or message is damaged or cut short
  permission_denied,     // token, file policy, operating system
  refused,               // a plugin or a peer failed a check and was turned away
  internal,              // a bug: an invariant did not hold
};

// "invalid_argument" and so on; "unknown" for a value outside the enumeration.
constexpr std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::already_exists: return "already_exists";
    case ErrorCode::failed_precondition: return "failed_precondition";
    case ErrorCode::unimplemented: return "unimplemented";
    case ErrorCode::deadline_exceeded: return "deadline_exceeded";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::aborted: return "aborted";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::resource_exhausted: return "resource_exhausted";
    case ErrorCode::data_loss: return "data_loss";
    case ErrorCode::permission_denied: return "permission_denied";
    case ErrorCode::refused: return "refused";
    case ErrorCode::internal: return "internal";
  }
  return "unknown";
}

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;     // for a human: what was found, what was expected, what to do
  bool retryable = false;  // whether the same call may succeed later without a change
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// return fail(ErrorCode::not_found, "no such key 'x'");
inline tl::unexpected<Error> fail(ErrorCode code, std::string message, bool retryable = false) {
  return tl::unexpected<Error>(Error{code, std::move(message), retryable});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

// The same error, its message prefixed with "context: ".
inline Error annotate(Error error, std::string_view context) {
  error.message = std::string(context) + ": " + error.message;
  return error;
}

// "invalid_argument: message", for logs.
inline std::string to_string(const Error& error) { return std::string(to_string(error.code)) + ": " + error.message; }

}  // namespace weft

#define WEFT_CONCAT_INNER(a, b) a##b
#define WEFT_CONCAT(a, b) WEFT_CONCAT_INNER(a, b)

// Evaluates a Status or Result and returns its error, if any, from the enclosing function.
#define WEFT_TRY(expression)                                                                          \
  do {                                                                                                \
    auto&& weft_try_result = (expression);                                                            \
    if (!weft_try_result) return ::tl::unexpected<::weft::Error>(std::move(weft_try_result).error()); \
  } while (false)

// The same, the error's message prefixed with "context: ".
#define WEFT_TRY_CONTEXT(expression, context)                                                                  \
  do {                                                                                                         \
    auto&& weft_try_result = (expression);                                                                     \
    if (!weft_try_result)                                                                                      \
      return ::tl::unexpected<::weft::Error>(::weft::annotate(std::move(weft_try_result).error(), (context))); \
  } while (false)

// Declares `variable` (auto) with the value of a Result<T>, or returns its error.
#define WEFT_ASSIGN(variable, expression)                                                           \
  auto WEFT_CONCAT(weft_result_, __LINE__) = (expression);                                          \
  if (!WEFT_CONCAT(weft_result_, __LINE__))                                                         \
    return ::tl::unexpected<::weft::Error>(std::move(WEFT_CONCAT(weft_result_, __LINE__)).error()); \
  auto variable = std::move(*WEFT_CONCAT(weft_result_, __LINE__))

#define WEFT_ASSIGN_CONTEXT(variable, expression, context)                                    \
  auto WEFT_CONCAT(weft_result_, __LINE__) = (expression);                                    \
  if (!WEFT_CONCAT(weft_result_, __LINE__))                                                   \
    return ::tl::unexpected<::weft::Error>(                                                   \
        ::weft::annotate(std::move(WEFT_CONCAT(weft_result_, __LINE__)).error(), (context))); \
  auto variable = std::move(*WEFT_CONCAT(weft_result_, __LINE__))
