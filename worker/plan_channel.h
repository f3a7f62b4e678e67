// Step plans from the leader to its followers, over the control group: a slot of 4 KiB, and a tail where a plan is longer.
// One thread a side. In a replica of one rank there is nobody to tell, and every call succeeds.
#pragma once

#include <vector>

#include "engine/schedule/plan_codec.h"
#include "weft/communicator.h"

namespace weft::worker {

class PlanChannel {
 public:
  explicit PlanChannel(Group* control) : control_(control) {}

  // Leader. An empty plan keeps the followers' lease alive.
  Status send(const engine::StepPlan& plan, Deadline deadline);
  // Follower. Waits for the next plan.
  Result<engine::StepPlan> receive(const engine::PlanLimits& limits, Deadline deadline);

 private:
  Status broadcast(void* data, std::size_t bytes, Deadline deadline);

  Group* control_;
  engine::EncodedPlan encoded_;
};

}  // namespace weft::worker
