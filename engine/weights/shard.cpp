#include "engine/weights/shard.h"

#include <fmt/format.h>
// For the size of XXH3_state_t; the functions are the library's.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "engine/weights/json_file.h"

namespace weft::engine {

struct ShardReader::State {
  XXH3_state_t total;  // over the digests of the parts
  XXH3_state_t part;

  State() {
    XXH3_128bits_reset(&total);
    XXH3_128bits_reset(&part);
  }
};

namespace {

XXH128_hash_t hash_bytes(XXH3_state_t& state, const WeightPart& part) {
  const auto element = size_of(part.type);
  const auto row_bytes = static_cast<std::size_t>(part.columns) * element;
  const auto stride = static_cast<std::size_t>(part.row_stride) * element;
  const auto* data = static_cast<const std::byte*>(part.data);
  const auto rows = static_cast<std::size_t>(part.rows);
  if (stride == row_bytes) return XXH3_128bits(data, row_bytes * rows);
  XXH3_128bits_reset(&state);
  for (std::size_t row = 0; row < rows; ++row)
    XXH3_128bits_update(&state, data + row * stride, row_bytes);
  return XXH3_128bits_digest(&state);
}

void add_number(XXH3_state_t& state, std::uint64_t number) {
  std::array<unsigned char, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<unsigned char>(number >> (8 * i));
  XXH3_128bits_update(&state, bytes.data(), bytes.size());
}

bool aligned(const void* data, DType type) { return reinterpret_cast<std::uintptr_t>(data) % size_of(type) == 0; }

}  // namespace

std::string to_string(WeightHash hash) { return fmt::format("{:016x}{:016x}", hash.high, hash.low); }

ShardReader::ShardReader(const Checkpoint& checkpoint) : checkpoint_(checkpoint), state_(std::make_unique<State>()) {}
ShardReader::~ShardReader() = default;

Result<WeightPart> ShardReader::cut(const std::string& tensor, const TensorEntry& entry, Slice rows, Slice columns) {
  const std::int64_t tensor_columns = entry.shape.back();
  std::int64_t tensor_rows = 1;
  for (std::size_t i = 0; i + 1 < entry.shape.size(); ++i)
    tensor_rows *= entry.shape[i];  // no overflow: the tensor lies in a file
  if (rows.first < 0 || rows.count < 1 || rows.end() > tensor_rows || columns.first < 0 || columns.count < 1 ||
      columns.end() > tensor_columns)
    return fail(ErrorCode::internal,
                fmt::format("weights: tensor {} of shape {} has no rows [{}, {}), columns [{}, {})", in_quotes(tensor),
                            shape_text(entry.shape), rows.first, rows.end(), columns.first, columns.end()));
  const DType type = *entry.dtype;
  const auto offset = static_cast<std::size_t>(rows.first * tensor_columns + columns.first) * size_of(type);
  WeightPart part{.data = entry.data + offset,
                  .type = type,
                  .rows = rows.count,
                  .columns = columns.count,
                  .row_stride = tensor_columns,
                  .bias = nullptr};
  if (!aligned(part.data, type)) {
    const auto row_bytes = static_cast<std::size_t>(columns.count) * size_of(type);
    const auto row_count = static_cast<std::size_t>(rows.count);
    std::unique_ptr<std::byte[]> copy(new (std::nothrow) std::byte[row_bytes * row_count]);
    if (copy == nullptr)
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("weights: tensor {}: no memory to align it", in_quotes(tensor)));
    for (std::size_t row = 0; row < row_count; ++row)
      std::memcpy(copy.get() + row * row_bytes,
                  entry.data + offset + row * static_cast<std::size_t>(tensor_columns) * size_of(type), row_bytes);
    part.data = copy.get();
    part.row_stride = columns.count;
    copies_.push_back(std::move(copy));
  }

  const XXH128_hash_t digest = hash_bytes(state_->part, part);
  XXH3_128bits_update(&state_->total, tensor.data(),
                      tensor.size() + 1);  // its terminator divides name from numbers
  for (const std::int64_t number : {tensor_rows, tensor_columns, rows.first, rows.count, columns.first, columns.count,
                                    static_cast<std::int64_t>(type)})
    add_number(state_->total, static_cast<std::uint64_t>(number));
  add_number(state_->total, digest.high64);
  add_number(state_->total, digest.low64);
  return part;
}

std::vector<std::int64_t> tensor_shape(const MatrixPlace& place) {
  if (place.planes == 0) return {place.tensor_rows, place.columns};
  return {place.planes, place.tensor_rows / place.planes, place.columns};
}

Result<WeightPart> ShardReader::rows(const MatrixPlace& place, Slice rows) {
  WEFT_ASSIGN(entry, checkpoint_.tensor(place.tensor, tensor_shape(place)));
  return cut(place.tensor, *entry, {place.first_row + rows.first, rows.count}, {0, place.columns});
}

Result<WeightPart> ShardReader::columns(const MatrixPlace& place, std::int64_t rows, Slice columns) {
  WEFT_ASSIGN(entry, checkpoint_.tensor(place.tensor, tensor_shape(place)));
  return cut(place.tensor, *entry, {place.first_row, rows}, columns);
}

Result<WeightPart> ShardReader::vector(const std::string& tensor, std::int64_t size) {
  return vector(tensor, size, {0, size});
}

Result<WeightPart> ShardReader::vector(const std::string& tensor, std::int64_t size, Slice slice) {
  WEFT_ASSIGN(entry, checkpoint_.tensor(tensor, std::array{size}));
  return cut(tensor, *entry, {0, 1}, slice);
}

Status ShardReader::add_bias(WeightPart& part, const std::string& tensor, std::int64_t size, Slice slice) {
  WEFT_ASSIGN(entry, checkpoint_.tensor(tensor, std::array{size}));
  WEFT_ASSIGN(bias, cut(tensor, *entry, {0, 1}, slice));
  if (bias.type != part.type)
    return fail(ErrorCode::unimplemented,
                fmt::format("weights: tensor {}: dtype {}, expected {} as its matrix has", in_quotes(tensor),
                            weft::to_string(bias.type), weft::to_string(part.type)));
  if (slice.count != part.rows)
    return fail(ErrorCode::internal, fmt::format("weights: tensor {}: {} elements of bias for {} rows",
                                                 in_quotes(tensor), slice.count, part.rows));
  part.bias = bias.data;
  return {};
}

WeightHash ShardReader::hash() const {
  const XXH128_hash_t digest = XXH3_128bits_digest(&state_->total);
  return {digest.high64, digest.low64};
}

}  // namespace weft::engine
