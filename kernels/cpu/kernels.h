// The SIMD kernels as tables of functions, one table a target. *_kernels() gives that of the best target this processor
// has (Highway's choice; a test may narrow it with hwy::SetSupportedTargetsForTest before it makes a device).
//
// All arguments are checked, all memory is host memory, and no kernel touches anything outside what is stated here. None
// depends on which other rows are worked on at the same time: that is what makes the device batch-invariant.
#pragma once

#include <cstddef>
#include <cstdint>

#include "weft/device.h"

namespace weft {

// Outputs a panel: how weights of use `linear` are packed, [panels][K][panel_width], zeros past the last row.
inline constexpr std::int64_t panel_width = 32;
// Terms of a dot product that are summed in one go; such sums are then added in order.
inline constexpr std::int64_t sum_block = 256;
// The most panels a decode kernel reads side by side.
inline constexpr std::int64_t panel_group = 4;

// A tile: the keys and values of one block and KV head. Keys [head_dim][key_stride], a token a column, so that a vector
// holds the same element of many tokens; then values [block_size][value_stride], a token a row. A layer is
// [blocks][kv_heads] tiles.
struct TileShape {
  static constexpr std::int64_t padding = 16;  // rows of a tile are whole vectors

  explicit TileShape(const KvSpec& spec) noexcept
      : block_size(spec.block_size),
        kv_heads(spec.kv_heads),
        key_stride((block_size + padding - 1) / padding * padding),
        value_stride((spec.head_dim + padding - 1) / padding * padding),
        values_at(spec.head_dim * key_stride),
        size(values_at + block_size * value_stride) {}

  // Elements from the layer's first to the tile's first.
  std::int64_t offset(std::int64_t block, std::int64_t kv_head) const noexcept {
    return (block * kv_heads + kv_head) * size;
  }

  std::int64_t block_size;
  std::int64_t kv_heads;
  std::int64_t key_stride;
  std::int64_t value_stride;
  std::int64_t values_at;  // elements from a tile's first to its first value
  std::int64_t size;       // elements
};

struct LinearPart {
  const float* in = nullptr;  // [rows, K]
  std::int64_t in_stride = 0;
  std::int64_t rows = 0;         // of this part
  std::int64_t columns = 0;      // K
  const void* panels = nullptr;  // first panel of this part, of `type`
  DType type = DType::f32;
  std::int64_t panel_count = 0;  // at most panel_group
  const float* bias = nullptr;   // [panel_count * panel_width]; null: none
  void* out = nullptr;           // first element of this part, of `out_type`
  DType out_type = DType::f32;
  std::int64_t out_stride = 0;
  std::int64_t out_columns = 0;  // of this part: the last panel may be cut
  bool add = false;              // to what `out` has
  float* sums = nullptr;         // scratch: linear_sums(rows)
  float* widened = nullptr;      // scratch: [sum_block, panel_width]
};
constexpr std::int64_t linear_sums(std::int64_t rows) noexcept { return rows * panel_width * panel_group; }

struct LinearKernels {
  std::int64_t tile_rows;  // rows that share one reading of the weights from registers
  void (*linear)(const LinearPart& part);
  // out[i] = activation(in[i]) * in[i + size].
  void (*gate)(Activation activation, const float* in, std::int64_t size, void* out, DType out_type);
};

struct RowKernels {
  const char* target;
  std::size_t lanes;
  void (*widen)(const void* from, DType type, float* to, std::int64_t size);
  void (*narrow)(const float* from, void* to, DType type, std::int64_t size);
  void (*scale)(float* values, float by, std::int64_t size);
  // to[i] = from[i] + to[i] as stored in `to`; the same as f32 in `sum`.
  void (*add)(const float* from, void* to, DType type, float* sum, std::int64_t size);
  // Zhang and Sennrich 2019, eq. 4; in place.
  void (*normalise)(float* values, const float* weight, float weight_offset, float epsilon, std::int64_t size);
  // Su et al. 2021, eq. 34: pairs (i, i + half), cos and sin [half]; in place.
  void (*rotate)(float* head, const float* cos, const float* sin, std::int64_t half);
  std::int32_t (*argmax)(const float* values, std::int64_t size);  // size >= 1
};

// One KV head of one sequence against some of its rows.
struct AttentionPart {
  const AttentionArgs* args = nullptr;
  const TileShape* tiles = nullptr;
  const void* layer = nullptr;  // its tiles, of `type`
  DType type = DType::f32;
  std::int32_t sequence = 0;
  std::int32_t kv_head = 0;
  std::int32_t first_row = 0;
  std::int32_t last_row = 0;  // one past
  std::int64_t context = 0;   // of the step's longest sequence
  float* scratch = nullptr;   // attention_scratch(head_dim, context)
};
inline constexpr std::int64_t attention_queries = 4;  // worked on together
// f32 that one thread needs: queries, results, and scores with a vector's room on either side.
constexpr std::int64_t attention_scores(std::int64_t context) noexcept { return context + 4 * TileShape::padding; }
constexpr std::int64_t attention_scratch(std::int64_t head_dim, std::int64_t context) noexcept {
  return attention_queries * (2 * (head_dim + TileShape::padding) + attention_scores(context));
}

struct AttentionKernels {
  void (*attend)(const AttentionPart& part);
};

const LinearKernels& linear_kernels();
const RowKernels& row_kernels();
const AttentionKernels& attention_kernels();

}  // namespace weft
