// The buffers of a step, allocated once when a model is loaded: one piece of device memory, cut into regions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/model/runner_spec.h"
#include "weft/device.h"

namespace weft::engine {

// T tokens, S sequences, H hidden; sizes of this rank. Activations are in the runner's dtype.
enum class Region : std::uint8_t {
  ids,              // [T] i32
  positions,        // [T] i32
  slots,            // [T] i32
  row_starts,       // [S + 1] i32
  context_lengths,  // [S] i32
  block_tables,     // [S, blocks of the most positions] i32
  sample_rows,      // [S] i32
  residual,         // [T, H] the residual stream
  normed,           // [T, H] what a branch reads
  branch,           // [T, H] what a branch adds
  qkv,              // [T, (Hq + 2 Hkv) D]
  qk_sums,          // [T, 2] f32; where queries and keys are normed over all heads
  attended,         // [T, Hq D]
  gated,            // [T, MLP columns]
  router,           // [T, experts] f32; this and the next two where there are experts
  expert_rows,      // [T, experts a token] i32: each expert's rows, one expert after the other
  expert_in,        // [T, H] what one expert reads
  sampled,          // [S, H] rows whose logits are wanted; last stage
  logits,           // [S, widest vocabulary shard] f32; last stage
  gathered,         // [tp, S, widest vocabulary shard] f32; where logits of several ranks come together
  count,
};

using RegionSizes = std::array<Bytes, static_cast<std::size_t>(Region::count)>;

RegionSizes region_sizes(const ModelConfig& config, const RankShape& rank, const RunnerSpec& spec,
                         std::int32_t positions);
// Of the one piece of memory that holds the regions.
Bytes workspace_bytes(const RegionSizes& sizes) noexcept;

class Workspace {
 public:
  static Result<Workspace> allocate(Device& device, const RegionSizes& sizes);
  Workspace(Workspace&& other) noexcept;
  Workspace& operator=(Workspace&& other) noexcept;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace();

  Buffer operator[](Region region) const noexcept { return regions_[static_cast<std::size_t>(region)]; }
  // The first rows * columns elements of a region, as a matrix.
  TensorView matrix(Region region, DType type, std::int64_t rows, std::int64_t columns) const noexcept;
  Bytes bytes() const noexcept { return memory_.size; }

 private:
  Workspace() = default;

  Device* device_ = nullptr;  // null: moved from
  Buffer memory_;
  std::array<Buffer, static_cast<std::size_t>(Region::count)> regions_{};
};

}  // namespace weft::engine
