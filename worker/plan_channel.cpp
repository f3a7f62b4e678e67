#include "worker/plan_channel.h"

namespace weft::worker {

Status PlanChannel::broadcast(void* data, std::size_t bytes, Deadline deadline) {
  WEFT_ASSIGN(work, control_->broadcast({.data = data, .size = bytes}, DType::u8, 0, {}));
  return work.wait(deadline);
}

Status PlanChannel::send(const engine::StepPlan& plan, Deadline deadline) {
  if (control_ == nullptr) return {};
  engine::encode(plan, encoded_);
  WEFT_TRY_CONTEXT(broadcast(encoded_.slot.data(), encoded_.slot.size(), deadline), "sending a plan");
  if (!encoded_.tail.empty())
    WEFT_TRY_CONTEXT(broadcast(encoded_.tail.data(), encoded_.tail.size(), deadline), "sending a plan's tail");
  return {};
}

Result<engine::StepPlan> PlanChannel::receive(const engine::PlanLimits& limits, Deadline deadline) {
  WEFT_TRY_CONTEXT(broadcast(encoded_.slot.data(), encoded_.slot.size(), deadline),
                   "waiting for the leader's next plan");
  WEFT_ASSIGN(tail, engine::tail_bytes(encoded_.slot));
  encoded_.tail.resize(tail);
  if (tail > 0) WEFT_TRY_CONTEXT(broadcast(encoded_.tail.data(), tail, deadline), "waiting for a plan's tail");
  return engine::decode(encoded_.slot, encoded_.tail, limits);
}

}  // namespace weft::worker
