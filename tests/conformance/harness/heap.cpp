#include <malloc.h>

#include <cstddef>

#include "tests/conformance/harness/sanitizer.h"

#ifdef WEFT_CONFORMANCE_SANITIZED
// Of every sanitizer's runtime (sanitizer/allocator_interface.h, which not every compiler's package brings).
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace weft::conformance {

std::int64_t heap_bytes_in_use() {
#ifdef WEFT_CONFORMANCE_SANITIZED
  // mallinfo2 is the C library's, whose heap lies idle then: it would see no leak at all.
  return static_cast<std::int64_t>(__sanitizer_get_current_allocated_bytes());
#else
  const struct mallinfo2 info = ::mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
#endif
}

}  // namespace weft::conformance
