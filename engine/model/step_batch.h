// A StepPlan as the device reads it: checked against the rank's limits, laid out in rows, copied in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/workspace.h"
#include "engine/schedule/step_plan.h"
#include "weft/device.h"
#include "weft/status.h"

namespace weft::engine {

struct StepLimits {
  std::int32_t tokens = 0;  // rows of a step
  std::int32_t sequences = 0;
  std::int32_t context = 0;  // positions of a sequence
  std::int32_t vocabulary = 0;
  std::int32_t block_size = 0;
  std::int32_t blocks = 0;  // of the cache
};

// Keeps its vectors from step to step, so that a step allocates nothing. One thread.
class StepBatch {
 public:
  // unimplemented for a plan that names an earlier step's samples; invalid_argument for one outside the
  // limits. After an error nothing has been copied.
  Status build(const StepPlan& plan, const StepLimits& limits);
  // Copies what build() laid out, but for the rows whose logits are wanted.
  Result<PagedBatch> copy_in(Device& device, const Workspace& workspace) const;
  // Copies rows whose logits are wanted to Region::sample_rows, which holds so many.
  Status copy_rows(Device& device, const Workspace& workspace, std::span<const std::int32_t> rows) const;

  std::int32_t tokens() const noexcept { return static_cast<std::int32_t>(ids_.size()); }
  std::span<const std::int32_t> sample_rows() const noexcept { return sample_rows_; }
  // In plan order; scored(i) is whose and where.
  std::span<const std::int32_t> scored_rows() const noexcept { return scored_rows_; }
  struct Scored {
    std::size_t sequence = 0;  // of the plan
    std::int32_t position = 0;
  };
  const Scored& scored(std::size_t i) const noexcept { return scored_[i]; }

 private:
  void add(std::size_t index, const SequenceStep& sequence, std::int32_t block_size);

  std::int32_t max_blocks_ = 0;
  std::vector<std::int32_t> ids_, positions_, slots_, row_starts_, context_lengths_, block_tables_, sample_rows_,
      scored_rows_;
  std::vector<Scored> scored_;
};

}  // namespace weft::engine
