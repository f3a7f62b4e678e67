// The tensors of a model's directory: model.safetensors, or the shards that model.safetensors.index.json
// names.
//
// Opening maps every file and checks every header; tensors' bytes are not read. Const and safe from any
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/weights/safetensors.h"
#include "weft/status.h"

namespace weft::engine {

class Checkpoint {
 public:
  // Messages begin with "weights: " and the file's name. model.safetensors goes before an index, as in
  // transformers.
  static Result<Checkpoint> open(const std::string& directory);

  struct Found {
    const TensorEntry* tensor = nullptr;  // null: there is none of that name
    std::string_view file;                // for messages
  };
  Found find(std::string_view name) const noexcept;

  // The tensor, which must have this shape and hold f32, f16 or bf16. not_found where there is none;
  // otherwise "weights: model.safetensors: tensor 'x': shape [4096, 192], expected [4096, 256]".
  Result<const TensorEntry*> tensor(std::string_view name, std::span<const std::int64_t> shape) const;

  std::vector<std::string_view> names() const;  // sorted
  Bytes bytes() const noexcept;                 // of all tensors, as stored

 private:
  std::vector<Safetensors> files_;
  std::map<std::string_view, std::size_t> places_;  // name (kept by the file) -> index in files_
};

}  // namespace weft::engine
