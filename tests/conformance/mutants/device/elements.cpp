#include "tests/conformance/mutants/device/elements.h"

#include <cstring>

#include "tests/conformance/mutants/switch.h"

namespace weft::mutant {
namespace {

template <class T>
double read(const void* data, std::int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const std::byte*>(data) + index * static_cast<std::int64_t>(sizeof value),
              sizeof value);
  return double{to_f32(value)};
}

template <class T>
void write(void* data, std::int64_t index, double value) {
  const T narrow = from_f32<T>(static_cast<float>(value));
  std::memcpy(static_cast<std::byte*>(data) + index * static_cast<std::int64_t>(sizeof narrow), &narrow, sizeof narrow);
}

}  // namespace

double load(const void* data, DType type, std::int64_t index) {
  if (type == DType::f16) return read<f16>(data, index);
  if (type == DType::bf16) return read<bf16>(data, index);
  return read<float>(data, index);
}

void store(void* data, DType type, std::int64_t index, double value) {
  if (type == DType::f16) return write<f16>(data, index, value);
  if (type == DType::bf16) return write<bf16>(data, index, value);
  write<float>(data, index, value);
}

double rounded(DType type, double value) {
  float place = 0;
  store(&place, type, 0, value);
  return load(&place, type, 0);
}

Elements::Elements(const TensorView& view)
    : data_(view.buffer.data), type_(view.type), columns_(view.columns), stride_(view.stride()) {
  if (breaks("gaps_are_not_seen")) stride_ = columns_;
}

}  // namespace weft::mutant
