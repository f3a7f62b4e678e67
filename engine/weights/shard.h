// Who of N ranks holds what of a dimension, and cutting a rank's parts out of a checkpoint.
//
// A part is a pointer and a stride into the mapped file: only the pages of a rank's shard are ever read. The
// one exception is a tensor that an old writer left unaligned to its type: its part is copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/weights/checkpoint.h"
#include "weft/device.h"
#include "weft/status.h"

namespace weft::engine {

// [first, first + count) of some dimension.
struct Slice {
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::int64_t end() const noexcept { return first + count; }
  friend bool operator==(const Slice&, const Slice&) = default;
};

// Rank r's part of `total`: contiguous, in rank order, sizes differ by at most one.
constexpr Slice even_slice(std::int64_t total, std::int32_t rank, std::int32_t size) noexcept {
  const std::int64_t first = total * rank / size;
  return {first, total * (rank + 1) / size - first};
}

// XXH3-128 over what a rank loaded; equal for ranks that loaded the same.
struct WeightHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const WeightHash&, const WeightHash&) = default;
};
std::string to_string(WeightHash hash);  // 32 hexadecimal digits

// A matrix in the checkpoint: `rows` consecutive rows of a tensor, which may hold others above and below
// (fused projections), or in planes before and after (experts).
struct MatrixPlace {
  std::string tensor;
  std::int64_t tensor_rows = 0;  // of all planes together
  std::int64_t columns = 0;
  std::int64_t first_row = 0;  // of the matrix, in the tensor
  std::int64_t planes = 0;     // the tensor's first dimension of three; 0: it has two
};
std::vector<std::int64_t> tensor_shape(const MatrixPlace& place);

// Not thread-safe. The checkpoint outlives it; parts are valid while both live.
class ShardReader {
 public:
  explicit ShardReader(const Checkpoint& checkpoint);
  ~ShardReader();
  ShardReader(const ShardReader&) = delete;
  ShardReader& operator=(const ShardReader&) = delete;

  // Some rows of a matrix, counted from its first one; a column-parallel linear's shard.
  Result<WeightPart> rows(const MatrixPlace& place, Slice rows);
  // Some columns of all `rows` rows; a row-parallel linear's shard.
  Result<WeightPart> columns(const MatrixPlace& place, std::int64_t rows, Slice columns);
  // A vector of `size` elements, or a slice of it, as one row.
  Result<WeightPart> vector(const std::string& tensor, std::int64_t size);
  Result<WeightPart> vector(const std::string& tensor, std::int64_t size, Slice slice);
  // Puts `slice` of a bias of `size` elements to a part of as many rows and the same type.
  Status add_bias(WeightPart& part, const std::string& tensor, std::int64_t size, Slice slice);

  // Over every part handed out so far, in order: tensor, shape, slice, type and bytes.
  WeightHash hash() const;

 private:
  struct State;
  Result<WeightPart> cut(const std::string& tensor, const TensorEntry& entry, Slice rows, Slice columns);

  const Checkpoint& checkpoint_;
  std::unique_ptr<State> state_;                      // of the hash
  std::vector<std::unique_ptr<std::byte[]>> copies_;  // of unaligned parts
};

}  // namespace weft::engine
