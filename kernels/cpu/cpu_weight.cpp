#include "kernels/cpu/cpu_weight.h"

#include <algorithm>

namespace weft {
namespace {

// function(an element of the storage type): a switch over the float types.
template <class Function>
void with_type(DType type, Function&& function) {
  switch (type) {
    case DType::f16: function(f16{}); break;
    case DType::bf16: function(bf16{}); break;
    default: function(0.0f);
  }
}

template <class To, class From>
To convert(From value) noexcept {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else {
    return from_f32<To>(to_f32(value));
  }
}

DType stored_type(std::span<const WeightPart> parts, const WeightSpec& spec) {
  if (spec.use == WeightUse::vector || spec.use == WeightUse::table) return DType::f32;
  if (spec.compute != DType::f32) return spec.compute;
  const auto same = [&](const WeightPart& part) { return part.type == parts[0].type; };
  return std::all_of(parts.begin(), parts.end(), same) ? parts[0].type : DType::f32;
}

// The rows of all parts as one matrix.
class Rows {
 public:
  explicit Rows(std::span<const WeightPart> parts) : parts_(parts) {}

  // The part that has the row, and the row's number in it. Within the rows there are.
  const WeightPart& part(std::int64_t& row) const {
    std::size_t index = 0;
    while (row >= parts_[index].rows)
      row -= parts_[index++].rows;
    return parts_[index];
  }
  // to[i * stride] = elements [first, end) of the row.
  template <class To>
  void copy(std::int64_t row, std::int64_t first, std::int64_t end, To* to, std::int64_t stride) const {
    const WeightPart& from = part(row);
    const std::int64_t start = row * (from.row_stride == 0 ? from.columns : from.row_stride);
    with_type(from.type, [&]<class From>(From) {
      for (std::int64_t i = first; i < end; ++i, to += stride)
        *to = convert<To>(load_unaligned<From>(from.data, start + i));
    });
  }
  float bias(std::int64_t row) const {
    const WeightPart& from = part(row);
    float value = 0;
    with_type(from.type, [&]<class From>(From) { value = to_f32(load_unaligned<From>(from.bias, row)); });
    return value;
  }

 private:
  std::span<const WeightPart> parts_;
};

// One panel, a few columns at a time so that what is written stays in the first cache.
template <class To>
void pack_panel(const Rows& rows, const WeightShape& shape, std::int64_t panel, To* to) {
  constexpr std::int64_t step = 64;
  const std::int64_t first = panel * panel_width;
  const std::int64_t count = std::min(panel_width, shape.rows - first);
  for (std::int64_t k = 0; k < shape.columns; k += step)
    for (std::int64_t i = 0; i < count; ++i)
      rows.copy(first + i, k, std::min(shape.columns, k + step), to + k * panel_width + i, panel_width);
}

}  // namespace

Result<std::unique_ptr<CpuWeight>> CpuWeight::load(std::span<const WeightPart> parts, const WeightSpec& spec,
                                                   ThreadPool& pool) {
  auto weight = std::make_unique<CpuWeight>();
  WEFT_ASSIGN(shape, check_parts(parts, spec));
  weight->shape_ = std::move(shape);
  weight->type_ = stored_type(parts, spec);
  const WeightShape& of = weight->shape_;
  const bool packs = spec.use == WeightUse::linear;
  const auto padded = static_cast<Bytes>(packs ? weight->panels() * panel_width : of.rows);
  WEFT_ASSIGN(data, HostMemory::allocate(padded * static_cast<Bytes>(of.columns) * size_of(weight->type_)));
  WEFT_ASSIGN(bias, HostMemory::allocate(of.bias ? padded * sizeof(float) : 0));
  weight->data_ = std::move(data);
  weight->bias_ = std::move(bias);

  const Rows rows(parts);
  with_type(weight->type_, [&]<class To>(To) {
    To* to = weight->data_.as<To>();
    pool.run(packs ? weight->panels() : of.rows, [&](std::int64_t index, int) {
      if (packs)
        pack_panel(rows, of, index, to + index * of.columns * panel_width);
      else
        rows.copy(index, 0, of.columns, to + index * of.columns, 1);
    });
  });
  if (of.bias)
    for (std::int64_t row = 0; row < of.rows; ++row)
      weight->bias_.as<float>()[row] = rows.bias(row);
  return weight;
}

}  // namespace weft
