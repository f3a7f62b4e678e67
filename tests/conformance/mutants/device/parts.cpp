#include "tests/conformance/mutants/device/parts.h"

#include <algorithm>

#include "tests/conformance/mutants/device/elements.h"
#include "tests/conformance/mutants/device/memory.h"
#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {
namespace {

constexpr std::int64_t most_elements = std::int64_t{1} << 31;

Status wrong(const std::string& name, const std::string& what) {
  return fail(ErrorCode::invalid_argument, "weight '" + name + "': " + what);
}

Status check_part(const WeightPart& part, const WeightPart& first, const WeightSpec& spec) {
  if (part.data == nullptr) return wrong(spec.name, "a part without data");
  if (!is_float(part.type)) return wrong(spec.name, "a part of integers");
  if (part.rows < 1 || part.columns < 1) return wrong(spec.name, "a part without rows or columns");
  if (part.columns != first.columns) return wrong(spec.name, "parts of different columns");
  if (part.row_stride != 0 && part.row_stride < part.columns) return wrong(spec.name, "rows that overlap");
  const bool half_a_bias = (part.bias == nullptr) != (first.bias == nullptr);
  if (half_a_bias && !breaks("takes_half_a_bias")) return wrong(spec.name, "a bias for some parts only");
  if (part.rows > most_elements || part.columns > most_elements || part.rows * part.columns > most_elements)
    return fail(ErrorCode::resource_exhausted, "weight '" + spec.name + "': too many elements");
  return {};
}

Status check_parts(std::span<const WeightPart> parts, const WeightSpec& spec) {
  if (spec.quantization != "none" && !breaks("takes_any_quantization"))
    return fail(ErrorCode::unimplemented, "weight '" + spec.name + "': quantization '" + spec.quantization + "'");
  if (!is_float(spec.compute)) return wrong(spec.name, "to compute in integers");
  if (parts.empty()) return wrong(spec.name, "no parts");
  for (const WeightPart& part : parts)
    WEFT_TRY(check_part(part, parts.front(), spec));
  const bool linear = spec.use == WeightUse::linear;
  if (!linear && parts.front().bias != nullptr) return wrong(spec.name, "a bias, and it is no linear weight");
  if (spec.use == WeightUse::vector && (parts.size() > 1 || parts.front().rows != 1))
    return wrong(spec.name, "a vector of several rows");
  return {};
}

DType kept_type(const WeightSpec& spec) {
  const bool matrix = spec.use == WeightUse::linear || spec.use == WeightUse::embedding;
  return matrix || breaks("rounds_vectors") ? spec.compute : DType::f32;
}

void append(Matrix& made, const WeightPart& part, const WeightSpec& spec, DType narrowest) {
  std::int64_t stride = part.row_stride == 0 ? part.columns : part.row_stride;
  if (breaks("part_stride_ignored")) stride = part.columns;
  const void* data = part.data;
  if (breaks("reads_aligned"))
    data = reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(data) & ~std::uintptr_t{3});
  for (std::int64_t row = 0; row < part.rows; ++row)
    for (std::int64_t column = 0; column < part.columns; ++column) {
      double value = load(data, part.type, row * stride + column);
      if (breaks("parts_share_a_type")) value = rounded(narrowest, value);
      made.values.push_back(static_cast<float>(rounded(kept_type(spec), value)));
    }
  for (std::int64_t row = 0; part.bias != nullptr && row < part.rows; ++row)
    made.biases.push_back(static_cast<float>(load(part.bias, part.type, row)));
}

}  // namespace

Bytes Matrix::bytes() const noexcept {
  if (breaks("weighs_nothing")) return sizeof *this;
  return sizeof *this + (values.size() + biases.size()) * sizeof(float);
}

double Matrix::at(std::int64_t row, std::int64_t column) const {
  const std::int64_t index = row * column_count + column;
  if (kept != nullptr) return load(kept, DType::f32, index);
  return double{values[static_cast<std::size_t>(index)]};
}

Result<std::unique_ptr<Weight>> make_weight(std::span<const WeightPart> parts, const WeightSpec& spec) {
  WEFT_TRY(check_parts(parts, spec));
  auto made = std::make_unique<Matrix>();
  made->use = spec.use;
  made->compute = spec.compute;
  made->column_count = parts.front().columns;
  std::vector<WeightPart> ordered(parts.begin(), parts.end());
  if (breaks("parts_reversed")) std::reverse(ordered.begin(), ordered.end());
  DType narrowest = DType::f32;
  for (const WeightPart& part : ordered)
    if (size_of(part.type) < size_of(narrowest)) narrowest = part.type;
  for (const WeightPart& part : ordered) {
    made->row_count += part.rows;
    append(*made, part, spec, narrowest);
  }
  // The bias of the second part on the rows of the first, and so on.
  if (breaks("bias_of_another_part") && parts.size() > 1 && !made->biases.empty())
    std::rotate(made->biases.begin(), made->biases.begin() + parts.front().rows, made->biases.end());
  if (!made->biases.empty()) made->biases.resize(static_cast<std::size_t>(made->row_count));
  const bool dense = parts.size() == 1 && parts.front().type == DType::f32 && parts.front().row_stride == 0;
  if (breaks("keeps_the_parts") && dense && spec.use == WeightUse::embedding) made->kept = parts.front().data;
  return made;
}

Cache::Cache(const KvSpec& spec_, std::int32_t blocks)
    : spec(spec_),
      block_count(blocks),
      data(bytes_of_block(spec_) * static_cast<Bytes>(blocks)),
      owners(static_cast<std::size_t>(blocks), -1) {
  if (breaks("cache_keeps_f32")) data.resize(2 * data.size());
}

Bytes Cache::bytes() const noexcept {
  const Bytes all = bytes_of_block(spec) * static_cast<Bytes>(block_count);
  return breaks("cache_says_half") ? all / 2 : all;
}

std::int64_t Cache::index(std::int32_t layer, int values, std::int64_t slot, std::int64_t element) const {
  if (breaks("layers_are_one")) layer = 0;
  const std::int64_t slots = std::int64_t{block_count} * spec.block_size;
  return ((std::int64_t{layer} * 2 + values) * slots + slot) * spec.kv_heads * spec.head_dim + element;
}

double Cache::get(std::int32_t layer, int values, std::int64_t slot, std::int64_t element) const {
  return load(data.data(), breaks("cache_keeps_f32") ? DType::f32 : spec.type, index(layer, values, slot, element));
}

void Cache::set(std::int32_t layer, int values, std::int64_t slot, std::int64_t element, double value) {
  store(data.data(), breaks("cache_keeps_f32") ? DType::f32 : spec.type, index(layer, values, slot, element), value);
}

Bytes bytes_of_block(const KvSpec& spec) noexcept {
  const auto positive = [](std::int32_t size) { return static_cast<Bytes>(std::max(0, size)); };
  return 2 * positive(spec.layers) * positive(spec.kv_heads) * positive(spec.head_dim) * positive(spec.block_size) *
         size_of(spec.type);
}

Result<std::unique_ptr<KvCache>> make_cache(const KvSpec& spec, std::int32_t blocks) {
  Bytes bytes = size_of(spec.type);
  for (const std::int32_t size : {spec.layers, spec.kv_heads, spec.head_dim, spec.block_size, blocks}) {
    if (size < 1 && !(breaks("takes_an_empty_cache") && size == 0))
      return fail(ErrorCode::invalid_argument, "a cache with a size of " + std::to_string(size));
    bytes *= static_cast<Bytes>(size);
    if (bytes > memory_of_a_device) return fail(ErrorCode::resource_exhausted, "a cache larger than the memory");
  }
  if (!is_float(spec.type)) return fail(ErrorCode::invalid_argument, "a cache of integers");
  return std::make_unique<Cache>(spec, blocks);
}

}  // namespace weft::mutant
