#include <cstring>
#include <memory>

#include "engine/weights/safetensors.h"
#include "tests/fuzz/fuzz_targets.h"
#include "tests/fuzz/targets/promise.h"

namespace weft::fuzz {

void fuzz_safetensors(Input input) {
  // A copy of exactly this size: what is read behind it is an error of the sanitizer.
  const auto copy = std::make_unique<std::byte[]>(input.size());
  if (!input.empty()) std::memcpy(copy.get(), input.data(), input.size());
  const auto opened = engine::Safetensors::view({copy.get(), input.size()}, "model.safetensors");
  if (!opened) return promise_message(opened.error());
  std::size_t sum = 0;
  Bytes total = 0;
  for (const auto& [name, tensor] : opened->tensors()) {
    total += tensor.bytes;
    for (Bytes i = 0; i < tensor.bytes; ++i)
      sum += std::to_integer<std::size_t>(tensor.data[i]);
    if (!tensor.dtype) continue;
    Bytes elements = 1;
    for (const std::int64_t dimension : tensor.shape)
      elements *= static_cast<Bytes>(dimension);
    promise(elements * size_of(*tensor.dtype) == tensor.bytes, "a shape that does not fit its bytes");
  }
  promise(total < input.size() || (total == 0 && sum == 0), "tensors longer than their file");
}

}  // namespace weft::fuzz
