// One .safetensors file (format: https://github.com/huggingface/safetensors): 8 bytes of length, little
// endian, a JSON header of that length, then the tensors' bytes.
//
// Everything the header says is checked when the file is opened, and what Hugging Face's own reader refuses
// is refused: header of at most 100 MB, only the known fields and types, shapes whose product does not
// overflow, offsets inside the file that agree with shape and type and cover the data without overlap or
// hole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/weights/mapped_file.h"
#include "weft/buffer.h"
#include "weft/dtype.h"
#include "weft/status.h"

namespace weft::engine {

struct TensorEntry {
  std::optional<DType> dtype;  // nullopt: a known type that Weft has no use for; `stored_as` names it
  std::string stored_as;       // as the file says: "BF16"
  std::vector<std::int64_t> shape;
  const std::byte* data = nullptr;  // row-major; not always aligned to its type (old writers)
  Bytes bytes = 0;
};

using TensorMap = std::map<std::string, TensorEntry, std::less<>>;

class Safetensors {
 public:
  // Maps and checks a file. Errors are data_loss (cut short, damaged) or invalid_argument; messages begin
  // with the file's name.
  static Result<Safetensors> open(const std::string& path);
  // The same over memory that the caller keeps; `label` stands for the file's name.
  static Result<Safetensors> view(std::span<const std::byte> file, std::string label);

  const TensorMap& tensors() const noexcept { return tensors_; }
  const std::string& label() const noexcept { return label_; }  // the file's name, for messages

 private:
  std::string label_;
  TensorMap tensors_;
  std::optional<MappedFile> file_;  // empty where the caller keeps the memory
};

// "[4096, 256]".
std::string shape_text(std::span<const std::int64_t> shape);

}  // namespace weft::engine
