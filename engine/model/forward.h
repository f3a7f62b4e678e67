// One forward pass of one rank, as the decoder's description says it. Reads like the paper: the pieces are
// the device's operations, and the two sums over the tensor group a layer are the only places where ranks
// meet.
#pragma once

#include <atomic>

#include "engine/model/expert_routing.h"
#include "engine/model/host_rows.h"
#include "engine/model/rank_weights.h"
#include "engine/model/timed_group.h"
#include "engine/model/workspace.h"
#include "weft/device.h"
#include "weft/status.h"

namespace weft::engine {

// What a pass does in host memory, kept from step to step.
struct HostScratch {
  HostRows rows, sums;
  ExpertRouting routing;
};

// What a pass reads and writes. All references outlive it; one thread.
struct ForwardContext {
  Device& device;
  const ModelConfig& config;
  const RankShape& rank;
  const RankWeights& weights;
  const Workspace& workspace;
  KvCache& cache;
  TimedGroup& tensor;
  HostScratch& host;
  DType dtype;
  std::atomic<std::int64_t>* layers_done;  // may be null
};

class Forward {
 public:
  Forward(const ForwardContext& context, const PagedBatch& batch) noexcept;

  // Fills the residual stream from Region::ids. First stage.
  Status embed();
  // This stage's layers, from the residual stream back to it.
  Status layers();
  // The last norm, of every row. Last stage, once, before logits().
  Status final_norm();
  // Region::logits: [count, this rank's ids], rows vocabulary_width apart, of the rows in Region::sample_rows.
  // Last stage, count > 0; any number of times.
  Status logits(std::int32_t count);

  // [tokens, H]: what goes from stage to stage.
  TensorView residual() const noexcept { return residual_; }

 private:
  Status attention(const LayerWeights& layer, const LayerSpec& spec, std::int32_t index);
  Status mlp(const MlpWeights& weights, const TensorView& in, const TensorView& out);
  Status experts(const LayerWeights& layer);
  Status begin_branch(const Weight* norm, const LayerWeights& layer);
  Status norm_into(const Weight& weight, const TensorView& out);
  Status finish_branch(const Weight* post_norm);
  Status linear(const Weight& weight, const TensorView& in, const TensorView& out,
                LinearArgs::Epilogue epilogue = LinearArgs::Epilogue::store);

  const ForwardContext& at_;
  const PagedBatch& batch_;
  Stream stream_;
  TensorView residual_, normed_, branch_;
  TensorView input_;             // what a branch reads: normed_, or residual_ where no norm is before it
  bool branch_pending_ = false;  // branch_ is not yet added to residual_: the next norm does both at once
};

}  // namespace weft::engine
