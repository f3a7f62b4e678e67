#include "engine/model/workspace.h"

#include <algorithm>
#include <utility>

#include "engine/model/tensor_list.h"

namespace weft::engine {
namespace {

constexpr Bytes alignment = 256;  // no two regions share a cache line or a GPU's memory transaction

constexpr Bytes aligned(Bytes bytes) noexcept { return (bytes + alignment - 1) / alignment * alignment; }

}  // namespace

RegionSizes region_sizes(const ModelConfig& config, const RankShape& rank, const RunnerSpec& spec,
                         std::int32_t positions) {
  const auto tokens = static_cast<Bytes>(spec.max_batch_tokens);
  const auto sequences = static_cast<Bytes>(spec.max_requests);
  const auto blocks = static_cast<Bytes>(positions / spec.block_size + (positions % spec.block_size != 0));
  const auto hidden = static_cast<Bytes>(config.shape.hidden);
  const auto head_dim = static_cast<Bytes>(config.shape.head_dim);
  const auto query_heads = static_cast<Bytes>(rank.query_heads.count);
  const auto kv_heads = static_cast<Bytes>(rank.kv_heads.count);
  const auto logits = sequences * static_cast<Bytes>(rank.vocabulary_width) * sizeof(float);
  const bool gathers = rank.position.tp_size > 1 && rank.last_stage;
  const bool receives = rank.leader() && !rank.last_stage;
  const Bytes element = size_of(spec.dtype);
  constexpr Bytes index = sizeof(std::int32_t);

  RegionSizes sizes{};
  const auto at = [&sizes](Region region) -> Bytes& { return sizes[static_cast<std::size_t>(region)]; };
  for (const Region region : {Region::ids, Region::positions, Region::slots})
    at(region) = tokens * index;
  at(Region::row_starts) = (sequences + 1) * index;
  at(Region::context_lengths) = sequences * index;
  at(Region::block_tables) = sequences * blocks * index;
  at(Region::sample_rows) = sequences * index;
  for (const Region region : {Region::residual, Region::normed, Region::branch})
    at(region) = tokens * hidden * element;
  at(Region::qkv) = tokens * (query_heads + 2 * kv_heads) * head_dim * element;
  at(Region::qk_sums) = config.decoder.qk_norm == QkNorm::full ? tokens * 2 * sizeof(float) : 0;
  at(Region::attended) = tokens * query_heads * head_dim * element;
  const std::int64_t widest = std::max(rank.intermediate.count, rank.share_of(dense_columns(config)).count);
  at(Region::gated) = tokens * static_cast<Bytes>(widest) * element;
  const auto experts = static_cast<Bytes>(config.shape.experts);
  at(Region::router) = tokens * experts * sizeof(float);
  at(Region::expert_rows) = tokens * static_cast<Bytes>(config.shape.experts_per_token) * index;
  at(Region::expert_in) = experts == 0 ? 0 : tokens * hidden * element;
  at(Region::sampled) = rank.last_stage ? sequences * hidden * element : 0;
  at(Region::logits) = rank.last_stage ? logits : 0;
  at(Region::gathered) = gathers || receives ? logits * static_cast<Bytes>(rank.position.tp_size) : 0;
  return sizes;
}

Bytes workspace_bytes(const RegionSizes& sizes) noexcept {
  Bytes sum = 0;
  for (const Bytes size : sizes)
    sum += aligned(size);
  return sum;
}

Result<Workspace> Workspace::allocate(Device& device, const RegionSizes& sizes) {
  Workspace workspace;
  WEFT_ASSIGN_CONTEXT(memory, device.allocate(workspace_bytes(sizes)), "model: workspace");
  workspace.device_ = &device;
  workspace.memory_ = memory;
  Bytes offset = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    workspace.regions_[i] = memory.slice(offset, sizes[i]);
    offset += aligned(sizes[i]);
  }
  return workspace;
}

Workspace::Workspace(Workspace&& other) noexcept
    : device_(std::exchange(other.device_, nullptr)), memory_(other.memory_), regions_(other.regions_) {}

Workspace& Workspace::operator=(Workspace&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(memory_, other.memory_);
  std::swap(regions_, other.regions_);
  return *this;
}

Workspace::~Workspace() {
  if (device_ != nullptr) device_->release(memory_);
}

TensorView Workspace::matrix(Region region, DType type, std::int64_t rows, std::int64_t columns) const noexcept {
  const Bytes bytes = static_cast<Bytes>(rows) * static_cast<Bytes>(columns) * size_of(type);
  return {.buffer = (*this)[region].slice(0, bytes), .type = type, .rows = rows, .columns = columns, .row_stride = 0};
}

}  // namespace weft::engine
