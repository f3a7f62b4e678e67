#include "worker/leader.h"

namespace weft::worker {

Status follow(Rank& rank, Progress& progress, const std::atomic<bool>& stop) {
  const auto& timeouts = rank.config().timeouts;
  engine::ModelRunner& runner = rank.runner();
  const engine::PlanLimits limits{.max_rows = rank.config().engine.max_batch_tokens,
                                  .max_context = runner.max_context(),
                                  .vocabulary = runner.config().shape.vocabulary,
                                  .block_size = rank.config().engine.block_size,
                                  .blocks = rank.kv_blocks()};
  PlanChannel plans(rank.control());
  // The leader has routers to find and other replicas to compare with before its first plan.
  Deadline deadline = Deadline::in(timeouts.load);
  while (!stop.load()) {
    Result<engine::StepPlan> plan = plans.receive(limits, deadline);
    if (stop.load()) return {};
    if (!plan) return fail(std::move(plan).error());
    progress.busy.store(!plan->sequences.empty());
    if (const auto ran = runner.forward(*plan); !ran) {
      if (stop.load()) return {};
      return fail(ran.error());
    }
    progress.step.store(plan->step);
    progress.busy.store(false);
    deadline = Deadline::in(timeouts.lease);
  }
  return {};
}

}  // namespace weft::worker
