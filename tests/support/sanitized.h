// Whether this is a build with a sanitizer. They make arithmetic some thirty times slower: their runs have less of it.
#pragma once

namespace weft::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

}  // namespace weft::test
