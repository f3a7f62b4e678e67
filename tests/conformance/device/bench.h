// A device under test and what cases put on it, through its own memory and copies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/device/reference.h"
#include "tests/conformance/harness/context.h"
#include "weft/device.h"

namespace weft::conformance {

class Bench {
 public:
  explicit Bench(Context& context) : context_(context), device_(context.create<Device>()) {}

  Device& operator*() const { return *device_; }
  Device* operator->() const { return device_.get(); }
  Context& context() const { return context_; }
  Stream stream() const { return device_->stream(); }

  // Of activations and matrices: f32, and what the plugin declares of f16 and bf16.
  std::vector<DType> types() const;
  void ok(const Status& status, std::string_view doing) const { context_.expect_ok(status, doing); }

  // Uniform in [low, high), each a value of `type`.
  Matrix random(DType type, std::int64_t rows, std::int64_t columns, double low = -1, double high = 1) const;
  // From one part, stored as `stored`.
  std::unique_ptr<Weight> weight(WeightUse use, DType stored, DType compute, const Matrix& values,
                                 const std::vector<double>& bias = {}) const;
  std::unique_ptr<Weight> vector(const Matrix& values) const {
    return weight(WeightUse::vector, DType::f32, DType::f32, values);
  }
  std::unique_ptr<Weight> load(std::span<const WeightPart> parts, const WeightSpec& spec) const {
    return context_.take(device_->load_weight(parts, spec), "load_weight");
  }

 private:
  Context& context_;
  PluginHandle<Device> device_;
};

// Device memory with a pattern before and behind what is used.
class Region {
 public:
  Region(const Bench& bench, std::vector<std::byte> bytes);
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region();

  Buffer buffer() const;
  std::vector<std::byte> read() const;
  void write(const std::vector<std::byte>& bytes);
  bool edges_intact() const;

 private:
  const Bench& bench_;
  Buffer whole_;
  std::size_t size_;
};

// A matrix whose rows are `gap` elements apart; what lies between them and round them is a pattern.
class Tensor {
 public:
  Tensor(const Bench& bench, DType type, const Matrix& values, std::int64_t gap = 0);
  static Tensor zeros(const Bench& bench, DType type, std::int64_t rows, std::int64_t columns, std::int64_t gap = 0) {
    return {bench, type, Matrix(rows, columns), gap};
  }

  TensorView view() const;
  DType type() const { return type_; }
  Matrix values() const;
  std::vector<std::byte> row_bytes(std::int64_t row) const;
  std::vector<std::byte> bytes() const;  // of all rows, without the gaps
  bool unchanged() const { return region_.read() == written_ && region_.edges_intact(); }
  bool outside_intact() const;

 private:
  DType type_;
  std::int64_t rows_, columns_, stride_;
  std::vector<std::byte> written_;
  Region region_;
};

class Indices {
 public:
  Indices(const Bench& bench, const std::vector<std::int32_t>& values);
  Buffer buffer() const { return region_.buffer(); }
  std::vector<std::int32_t> values() const;
  bool outside_intact() const { return region_.edges_intact(); }

 private:
  Region region_;
};

// `values` as an array of a float type.
std::vector<std::byte> encode(DType type, const std::vector<double>& values);
std::vector<double> decode(DType type, std::span<const std::byte> bytes);

// Fails the case where an element is further from what is right than the arithmetic and one rounding to the tensor's
// type allow. NaN is right where NaN is expected.
void expect_close(const Bench& bench, const Tensor& got, const Expected& wanted, std::string_view what);
void expect_close(const Bench& bench, const Matrix& got, DType type, const Expected& wanted, std::string_view what);

}  // namespace weft::conformance
