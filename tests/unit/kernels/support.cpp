#include "tests/unit/kernels/support.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "kernels/cpu/cpu_device.h"
#include "kernels/reference/reference_device.h"
#include "tests/support/sanitized.h"

namespace weft::testing {
namespace {

constexpr std::size_t guard = test::address_sanitized ? 0 : 64;
constexpr std::byte pattern{0xa5};

void write(std::byte* to, DType type, float value) {
  const f16 half = to_f16(value);
  const bf16 brain = to_bf16(value);
  if (type == DType::f32) std::memcpy(to, &value, sizeof value);
  if (type == DType::f16) std::memcpy(to, &half, sizeof half);
  if (type == DType::bf16) std::memcpy(to, &brain, sizeof brain);
}

}  // namespace

std::vector<float> random_values(std::int64_t count, std::uint64_t seed, float low, float high) {
  Random random(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values)
    value = random.uniform(low, high);
  return values;
}

Matrix::Matrix(DType type, std::int64_t rows, std::int64_t columns, const std::vector<float>& values,
               std::int64_t stride)
    : type_(type),
      rows_(rows),
      columns_(columns),
      stride_(stride == 0 ? columns : stride),
      bytes_(rows == 0 ? 0 : static_cast<std::size_t>((rows - 1) * stride_ + columns) * size_of(type)),
      storage_(new std::byte[bytes_ + 2 * guard]) {
  std::fill_n(storage_.get(), bytes_ + 2 * guard, pattern);
  for (std::int64_t row = 0; row < rows_; ++row)
    for (std::int64_t column = 0; column < columns_; ++column)
      set(row, column, values.empty() ? 0 : values.at(static_cast<std::size_t>(row * columns_ + column)));
}

std::byte* Matrix::element(std::int64_t row, std::int64_t column) const {
  return storage_.get() + guard + static_cast<std::size_t>(row * stride_ + column) * size_of(type_);
}

TensorView Matrix::view() const {
  return {.buffer = {.data = storage_.get() + guard, .size = bytes_},
          .type = type_,
          .rows = rows_,
          .columns = columns_,
          .row_stride = stride_};
}

float Matrix::at(std::int64_t row, std::int64_t column) const {
  float value = 0;
  std::uint16_t bits = 0;
  if (type_ == DType::f32) {
    std::memcpy(&value, element(row, column), sizeof value);
    return value;
  }
  std::memcpy(&bits, element(row, column), sizeof bits);
  return type_ == DType::f16 ? to_f32(f16{bits}) : to_f32(bf16{bits});
}

void Matrix::set(std::int64_t row, std::int64_t column, float value) { write(element(row, column), type_, value); }

std::vector<float> Matrix::values() const {
  std::vector<float> values;
  for (std::int64_t row = 0; row < rows_; ++row)
    for (std::int64_t column = 0; column < columns_; ++column)
      values.push_back(at(row, column));
  return values;
}

bool Matrix::guards_intact() const {
  const auto intact = [](const std::byte* from, const std::byte* to) {
    return std::all_of(from, to, [](std::byte value) { return value == pattern; });
  };
  const std::byte* begin = storage_.get();
  const std::byte* end = begin + bytes_ + 2 * guard;
  if (!intact(begin, begin + guard) || !intact(end - guard, end)) return false;
  for (std::int64_t row = 0; row + 1 < rows_; ++row)
    if (!intact(element(row, columns_), element(row + 1, 0))) return false;
  return true;
}

Batch::Batch(const std::vector<Sequence>& specs, std::int32_t block_size, std::int32_t cache_blocks,
             std::int32_t columns, std::uint64_t block_seed)
    : tokens(0), sequences(static_cast<std::int32_t>(specs.size())), max_blocks(columns) {
  std::vector<std::int32_t> free(static_cast<std::size_t>(cache_blocks));
  std::iota(free.begin(), free.end(), 0);
  Random random(block_seed);
  for (std::size_t i = free.size(); i > 1; --i)
    std::swap(free[i - 1], free[static_cast<std::size_t>(random.below(static_cast<std::int32_t>(i)))]);

  row_starts.values().push_back(0);
  std::size_t taken = 0;
  for (const Sequence& spec : specs) {
    const std::int32_t context = spec.cached + spec.rows;
    // A sequence's blocks are those of its place in the step: `columns` of them, used or not.
    const std::vector<std::int32_t> blocks(free.begin() + static_cast<std::ptrdiff_t>(taken),
                                           free.begin() + static_cast<std::ptrdiff_t>(taken) + columns);
    taken += static_cast<std::size_t>(columns);
    for (std::int32_t i = 0; i < columns; ++i)  // what lies past the context is not read: no block at all
      block_tables.values().push_back(i * block_size < context ? blocks.at(static_cast<std::size_t>(i)) : -1);
    for (std::int32_t position = spec.cached; position < context; ++position) {
      positions.values().push_back(position);
      slots.values().push_back(blocks.at(static_cast<std::size_t>(position / block_size)) * block_size +
                               position % block_size);
    }
    context_lengths.values().push_back(context);
    tokens += spec.rows;
    row_starts.values().push_back(tokens);
  }
}

PagedBatch Batch::paged() const {
  return {.tokens = tokens,
          .sequences = sequences,
          .max_blocks = max_blocks,
          .positions = positions.buffer(),
          .slots = slots.buffer(),
          .row_starts = row_starts.buffer(),
          .context_lengths = context_lengths.buffer(),
          .block_tables = block_tables.buffer()};
}

std::vector<std::byte> packed(DType type, const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * size_of(type));
  for (std::size_t i = 0; i < values.size(); ++i)
    write(bytes.data() + i * size_of(type), type, values[i]);
  return bytes;
}

std::unique_ptr<Weight> make_weight(Device& device, WeightUse use, DType stored, DType compute, std::int64_t rows,
                                    std::int64_t columns, const std::vector<float>& values,
                                    const std::vector<float>& bias) {
  const auto data = packed(stored, values);
  const auto bias_data = packed(stored, bias);
  const WeightPart part{.data = data.data(),
                        .type = stored,
                        .rows = rows,
                        .columns = columns,
                        .bias = bias.empty() ? nullptr : bias_data.data()};
  auto weight = device.load_weight({&part, 1}, {.name = "w", .use = use, .compute = compute});
  if (!weight) throw std::runtime_error(weight.error().message);
  return std::move(*weight);
}

std::vector<float> rope_table(std::int32_t positions, std::int32_t rotary_dim) {
  std::vector<float> table(static_cast<std::size_t>(positions) * static_cast<std::size_t>(rotary_dim));
  const std::int32_t half = rotary_dim / 2;
  for (std::int32_t position = 0; position < positions; ++position)
    for (std::int32_t i = 0; i < half; ++i) {
      const double angle = position * std::pow(10000.0, -2.0 * i / rotary_dim);
      const auto at = static_cast<std::size_t>(position * rotary_dim + i);
      table[at] = static_cast<float>(std::cos(angle));
      table[at + static_cast<std::size_t>(half)] = static_cast<float>(std::sin(angle));
    }
  return table;
}

std::vector<DeviceCase> all_devices() {
  return {{"reference", [] { return make_reference_device(); }},
          {"cpu", [] { return make_cpu_device({.threads = 1}); }},
          {"cpu_3_threads", [] { return make_cpu_device({.threads = 3}); }}};
}

}  // namespace weft::testing
