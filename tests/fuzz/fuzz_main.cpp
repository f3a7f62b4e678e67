// libFuzzer's door to one target; WEFT_FUZZ_TARGET is its function.
#include <cstddef>

#include "tests/fuzz/fuzz_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::fuzz::WEFT_FUZZ_TARGET({data, size});
  return 0;
}
