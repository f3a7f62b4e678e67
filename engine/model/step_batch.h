// A StepPlan as the device reads it: checked against the rank's limits, laid out in rows, copied in.
#pragma once

#include <cstdint>
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
  // Copies what build() laid out; samples() rows are in Region::sample_rows.
  Result<PagedBatch> copy_in(Device& device, const Workspace& workspace) const;

  std::int32_t tokens() const noexcept { return static_cast<std::int32_t>(ids_.size()); }
  std::int32_t samples() const noexcept { return static_cast<std::int32_t>(sample_rows_.size()); }

 private:
  void add(const SequenceStep& sequence, std::int32_t block_size);

  std::int32_t max_blocks_ = 0;
  std::vector<std::int32_t> ids_, positions_, slots_, row_starts_, context_lengths_, block_tables_, sample_rows_;
};

}  // namespace weft::engine
