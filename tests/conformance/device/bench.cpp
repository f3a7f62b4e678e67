#include "tests/conformance/device/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace weft::conformance {
namespace {

constexpr std::size_t edge = 256;
constexpr std::byte pattern{0xa5};

bool is_pattern(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == pattern; });
}

std::vector<std::byte> with_gaps(DType type, const Matrix& values, std::int64_t stride) {
  const std::size_t size = size_of(type);
  const auto rows = static_cast<std::size_t>(values.rows);
  const auto columns = static_cast<std::size_t>(values.columns);
  const std::size_t elements = rows == 0 ? 0 : (rows - 1) * static_cast<std::size_t>(stride) + columns;
  std::vector<std::byte> bytes(elements * size, pattern);
  const std::vector<std::byte> dense = encode(type, values.values);
  for (std::size_t row = 0; row < rows; ++row)
    std::copy_n(dense.begin() + static_cast<std::ptrdiff_t>(row * columns * size), columns * size,
                bytes.begin() + static_cast<std::ptrdiff_t>(row * static_cast<std::size_t>(stride) * size));
  return bytes;
}

}  // namespace

std::vector<DType> Bench::types() const {
  std::vector<DType> types{DType::f32};
  for (const DType type : {DType::f16, DType::bf16})
    if (context_.declares(to_string(type))) types.push_back(type);
  for (const DType type : types)
    context_.proves(to_string(type));
  return types;
}

Matrix Bench::random(DType type, std::int64_t rows, std::int64_t columns, double low, double high) const {
  Matrix made(rows, columns);
  for (double& value : made.values)
    value = rounded(type, low + (high - low) * static_cast<double>(context_.random()() >> 11) * 0x1p-53);
  return made;
}

std::unique_ptr<Weight> Bench::weight(WeightUse use, DType stored, DType compute, const Matrix& values,
                                      const std::vector<double>& bias) const {
  const auto data = encode(stored, values.values);
  const auto bias_data = encode(stored, bias);
  const WeightPart part{.data = data.data(),
                        .type = stored,
                        .rows = values.rows,
                        .columns = values.columns,
                        .bias = bias.empty() ? nullptr : bias_data.data()};
  return load({&part, 1}, {.name = "w", .use = use, .compute = compute});
}

Region::Region(const Bench& bench, std::vector<std::byte> bytes)
    : bench_(bench),
      whole_(bench.context().take(bench->allocate(bytes.size() + 2 * edge), "allocate")),
      size_(bytes.size()) {
  bytes.insert(bytes.begin(), edge, pattern);
  bytes.insert(bytes.end(), edge, pattern);
  bench_.ok(bench_->copy_in(whole_, bytes.data(), bytes.size(), bench_.stream()), "copy_in");
}

Region::~Region() { bench_->release(whole_); }

Buffer Region::buffer() const { return whole_.slice(edge, size_); }

std::vector<std::byte> Region::read() const {
  std::vector<std::byte> bytes(size_);
  bench_.ok(bench_->synchronize(bench_.stream()), "synchronize");
  if (size_ != 0) bench_.ok(bench_->copy_out(bytes.data(), buffer(), size_, bench_.stream()), "copy_out");
  return bytes;
}

void Region::write(const std::vector<std::byte>& bytes) {
  bench_.ok(bench_->copy_in(buffer(), bytes.data(), bytes.size(), bench_.stream()), "copy_in");
}

bool Region::edges_intact() const {
  std::vector<std::byte> bytes(size_ + 2 * edge);
  bench_.ok(bench_->synchronize(bench_.stream()), "synchronize");
  bench_.ok(bench_->copy_out(bytes.data(), whole_, bytes.size(), bench_.stream()), "copy_out");
  const std::span<const std::byte> all(bytes);
  return is_pattern(all.first(edge)) && is_pattern(all.last(edge));
}

Tensor::Tensor(const Bench& bench, DType type, const Matrix& values, std::int64_t gap)
    : type_(type),
      rows_(values.rows),
      columns_(values.columns),
      stride_(values.columns + gap),
      written_(with_gaps(type, values, stride_)),
      region_(bench, written_) {}

TensorView Tensor::view() const {
  return {.buffer = region_.buffer(), .type = type_, .rows = rows_, .columns = columns_, .row_stride = stride_};
}

std::vector<std::byte> Tensor::bytes() const {
  const std::vector<std::byte> all = region_.read();
  std::vector<std::byte> dense;
  const std::size_t width = static_cast<std::size_t>(columns_) * size_of(type_);
  for (std::int64_t row = 0; row < rows_; ++row) {
    const auto from = all.begin() + row * stride_ * static_cast<std::int64_t>(size_of(type_));
    dense.insert(dense.end(), from, from + static_cast<std::ptrdiff_t>(width));
  }
  return dense;
}

std::vector<std::byte> Tensor::row_bytes(std::int64_t row) const {
  const std::vector<std::byte> all = bytes();
  const auto width = columns_ * static_cast<std::int64_t>(size_of(type_));
  return {all.begin() + row * width, all.begin() + (row + 1) * width};
}

Matrix Tensor::values() const {
  Matrix made(rows_, columns_);
  made.values = decode(type_, bytes());
  return made;
}

bool Tensor::outside_intact() const {
  const std::vector<std::byte> all = region_.read();
  const auto size = static_cast<std::int64_t>(size_of(type_));
  for (std::int64_t row = 0; row + 1 < rows_; ++row)
    if (!is_pattern(std::span(all).subspan(static_cast<std::size_t>((row * stride_ + columns_) * size),
                                           static_cast<std::size_t>((stride_ - columns_) * size))))
      return false;
  return region_.edges_intact();
}

Indices::Indices(const Bench& bench, const std::vector<std::int32_t>& values)
    : region_(bench, [&values] {
        std::vector<std::byte> bytes(values.size() * sizeof(std::int32_t));
        if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
        return bytes;
      }()) {}

std::vector<std::int32_t> Indices::values() const {
  const auto bytes = region_.read();
  std::vector<std::int32_t> values(bytes.size() / sizeof(std::int32_t));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::vector<std::byte> encode(DType type, const std::vector<double>& values) {
  std::vector<std::byte> bytes(values.size() * size_of(type));
  std::byte* to = bytes.data();
  for (const double value : values) {
    const auto narrow = static_cast<float>(value);
    const f16 half = to_f16(narrow);
    const bf16 brain = to_bf16(narrow);
    const void* from = &narrow;
    if (type == DType::f16) from = &half;
    if (type == DType::bf16) from = &brain;
    std::memcpy(to, from, size_of(type));
    to += size_of(type);
  }
  return bytes;
}

std::vector<double> decode(DType type, std::span<const std::byte> bytes) {
  std::vector<double> values;
  for (std::size_t at = 0; at + size_of(type) <= bytes.size(); at += size_of(type)) {
    float wide = 0;
    std::uint16_t bits = 0;
    if (type == DType::f32) {
      std::memcpy(&wide, &bytes[at], sizeof wide);
    } else {
      std::memcpy(&bits, &bytes[at], sizeof bits);
      wide = type == DType::f16 ? to_f32(f16{bits}) : to_f32(bf16{bits});
    }
    values.push_back(double{wide});
  }
  return values;
}

void expect_close(const Bench& bench, const Matrix& got, DType type, const Expected& wanted, std::string_view what) {
  bench.context().expect(got.rows == wanted.value.rows && got.columns == wanted.value.columns, "the shape of a case");
  for (std::size_t i = 0; i < got.values.size(); ++i) {
    const double want = wanted.value.values[i];
    const double have = got.values[i];
    if (std::isnan(want) && std::isnan(have)) continue;
    const double bound = wanted.bound.values[i] + rounding(type, std::abs(want) + wanted.bound.values[i]);
    if (std::abs(have - want) <= bound || have == want) continue;
    const auto columns = static_cast<std::size_t>(got.columns);
    bench.context().fail(fmt::format("{} ({}): element [{}, {}] is {:.9g}, expected {:.9g} within {:.2g}", what,
                                     to_string(type), i / columns, i % columns, have, want, bound));
  }
}

void expect_close(const Bench& bench, const Tensor& got, const Expected& wanted, std::string_view what) {
  expect_close(bench, got.values(), got.type(), wanted, what);
}

}  // namespace weft::conformance
