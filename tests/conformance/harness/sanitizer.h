// Sanitizers: they own the heap, and the end of a process. This binary's sanitizer is that of every plugin that it may load.
#pragma once

#include <cstdint>
#include <string_view>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WEFT_CONFORMANCE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WEFT_CONFORMANCE_SANITIZED 1
#endif
#endif

namespace weft::conformance {

#ifdef WEFT_CONFORMANCE_SANITIZED
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

// How the message of a skip begins that a sanitizer is the reason of: the mutants of such a case are skipped with it, and
// of no other.
inline constexpr std::string_view sanitizer_skip = "sanitizer: ";

// Bytes that malloc and new have given out in this process, to anybody, and that were not given back. A sanitizer's
// quarantine counts as given back.
std::int64_t heap_bytes_in_use();

}  // namespace weft::conformance
