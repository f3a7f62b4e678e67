// Writes one .safetensors file, for models that Weft makes itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "weft/buffer.h"
#include "weft/dtype.h"
#include "weft/status.h"

namespace weft::engine {

struct NewTensor {
  std::string name;
  DType type = DType::f32;  // f32, f16 or bf16
  std::vector<std::int64_t> shape;

  std::int64_t elements() const noexcept;
};

// The file's bytes before the tensors': length and header, padded with spaces to a multiple of 8. Tensors lie one behind the
// other in the order given.
std::string safetensors_head(std::span<const NewTensor> tensors, const std::map<std::string, std::string>& metadata);

// Bytes [offset, offset + out.size()) of a tensor, which is named by its index.
using TensorFiller = std::function<void(std::size_t tensor, Bytes offset, std::span<std::byte> out)>;

// Writes beside the path, syncs, and renames: a file at `path` is whole, whatever happens meanwhile. One writer of a path at a
// time. `fill` is called in order, for pieces of at most a mebibyte that begin at multiples of one. resource_exhausted
// (no space) or permission_denied, with the path.
Status write_safetensors(const std::string& path, std::span<const NewTensor> tensors,
                         const std::map<std::string, std::string>& metadata, const TensorFiller& fill);
// The same for a small file that is there already as text.
Status write_whole_file(const std::string& path, std::string_view text);

}  // namespace weft::engine
