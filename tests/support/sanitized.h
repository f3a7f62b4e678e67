// What tests leave out in builds with a sanitizer.
#pragma once

namespace weft::test {

// They make arithmetic some thirty times slower: their runs have less of it.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

// The thread sanitizer knows no threads in a child that a process with threads has forked.
#if defined(__SANITIZE_THREAD__)
constexpr bool threads_after_fork = false;
#else
constexpr bool threads_after_fork = true;
#endif

}  // namespace weft::test
