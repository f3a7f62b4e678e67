// Numbers of the three float types, by index.
#pragma once

#include <weft/device.h>

namespace weft::mutant {

double load(const void* data, DType type, std::int64_t index);  // any address
void store(void* data, DType type, std::int64_t index, double value);
double rounded(DType type, double value);

// The elements of a matrix that has been checked.
class Elements {
 public:
  explicit Elements(const TensorView& view);

  double get(std::int64_t row, std::int64_t column) const { return load(data_, type_, row * stride_ + column); }
  void set(std::int64_t row, std::int64_t column, double value) const {
    store(data_, type_, row * stride_ + column, value);
  }
  bool has_gaps() const { return stride_ > columns_; }

 private:
  void* data_;
  DType type_;
  std::int64_t columns_, stride_;
};

}  // namespace weft::mutant
