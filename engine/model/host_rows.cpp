#include "engine/model/host_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace weft::engine {
namespace {

Status check(const TensorView& view, std::size_t elements) {
  const auto wanted = static_cast<std::size_t>(view.rows * view.columns);
  if (view.stride() == view.columns && is_float(view.type) && elements == wanted) return {};
  return fail(
      ErrorCode::internal,
      fmt::format("model: rows in host memory: [{}, {}] of {} with row stride {}, expected {} floats without gaps",
                  view.rows, view.columns, to_string(view.type), view.stride(), elements));
}

}  // namespace

Status HostRows::read(Device& device, const TensorView& view) {
  columns_ = static_cast<std::size_t>(view.columns);
  values_.resize(static_cast<std::size_t>(view.rows) * columns_);  // all of it is read over
  WEFT_TRY(check(view, values_.size()));
  const Bytes bytes = values_.size() * size_of(view.type);
  if (view.type == DType::f32) return device.copy_out(values_.data(), view.buffer, bytes, device.stream());
  narrow_.resize(values_.size());
  WEFT_TRY(device.copy_out(narrow_.data(), view.buffer, bytes, device.stream()));
  const bool brain = view.type == DType::bf16;
  std::transform(narrow_.begin(), narrow_.end(), values_.begin(),
                 [&](std::uint16_t bits) { return brain ? to_f32(bf16{bits}) : to_f32(f16{bits}); });
  return {};
}

Status HostRows::write(Device& device, const TensorView& view) {
  WEFT_TRY(check(view, values_.size()));
  const Bytes bytes = values_.size() * size_of(view.type);
  if (view.type == DType::f32) return device.copy_in(view.buffer, values_.data(), bytes, device.stream());
  const bool brain = view.type == DType::bf16;
  narrow_.resize(values_.size());
  std::transform(values_.begin(), values_.end(), narrow_.begin(),
                 [&](float value) { return brain ? to_bf16(value).bits : to_f16(value).bits; });
  return device.copy_in(view.buffer, narrow_.data(), bytes, device.stream());
}

void HostRows::reset(std::int64_t rows, std::int64_t columns) {
  columns_ = static_cast<std::size_t>(columns);
  values_.assign(static_cast<std::size_t>(rows) * columns_, 0.0f);
}

}  // namespace weft::engine
