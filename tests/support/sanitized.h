// What tests leave out in builds with a sanitizer.
#pragma once

namespace weft::test {

// g++ defines a macro, clang has a feature.
#if defined(__has_feature)
constexpr bool address_sanitized = __has_feature(address_sanitizer);
constexpr bool thread_sanitized = __has_feature(thread_sanitizer);
#else
#if defined(__SANITIZE_ADDRESS__)
constexpr bool address_sanitized = true;
#else
constexpr bool address_sanitized = false;
#endif
#if defined(__SANITIZE_THREAD__)
constexpr bool thread_sanitized = true;
#else
constexpr bool thread_sanitized = false;
#endif
#endif

// They make arithmetic some thirty times slower: their runs have less of it.
constexpr bool sanitized = address_sanitized || thread_sanitized;

// The thread sanitizer knows no threads in a child that a process with threads has forked.
constexpr bool threads_after_fork = !thread_sanitized;

}  // namespace weft::test
