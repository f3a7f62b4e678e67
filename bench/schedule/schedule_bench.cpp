// A step of the scheduler at 256 decoding requests: plan() + commit() + take_events(), and the plan as bytes.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "engine/schedule/plan_codec.h"
#include "engine/schedule/scheduler.h"

namespace weft::engine {
namespace {

constexpr std::int32_t requests = 256;
constexpr std::int32_t block_size = 16;

SchedulerOptions options_for(std::int32_t context) {
  const std::int32_t most = 2 * context;
  return {.max_batch_tokens = 8192,
          .max_requests = requests,
          .block_size = block_size,
          .blocks = requests * (most / block_size + 2),
          .max_context = most};
}

void refill(Scheduler& scheduler, std::int32_t context, RequestId& next_id) {
  while (scheduler.stats().running + scheduler.stats().waiting < requests) {
    Request request;
    request.id = ++next_id;
    request.prompt.assign(static_cast<std::size_t>(context), 7);
    request.stop.max_tokens = context;
    benchmark::DoNotOptimize(scheduler.add(std::move(request), 0));
  }
}

void run_step(Scheduler& scheduler, std::vector<TokenId>& sampled) {
  const StepPlan& plan = scheduler.plan(0);
  const auto samples = std::count_if(plan.sequences.begin(), plan.sequences.end(),
                                     [](const SequenceStep& sequence) { return sequence.sample; });
  sampled.assign(static_cast<std::size_t>(samples), 11);
  benchmark::DoNotOptimize(scheduler.commit(plan, sampled));
  benchmark::DoNotOptimize(scheduler.take_events());
}

// All 256 in decode, with `context` tokens of prompt each.
Scheduler decoding(std::int32_t context, RequestId& next_id, std::vector<TokenId>& sampled) {
  Scheduler scheduler = Scheduler::create(options_for(context)).value();
  refill(scheduler, context, next_id);
  while (scheduler.stats().pending_prefill_tokens > 0)
    run_step(scheduler, sampled);
  return scheduler;
}

void StepOf256Decodes(benchmark::State& state) {
  const auto context = static_cast<std::int32_t>(state.range(0));
  RequestId next_id = 0;
  std::vector<TokenId> sampled;
  Scheduler scheduler = decoding(context, next_id, sampled);
  for (auto _ : state) {
    if (scheduler.stats().running < requests) {
      state.PauseTiming();
      scheduler = decoding(context, next_id, sampled);
      state.ResumeTiming();
    }
    run_step(scheduler, sampled);
  }
}
BENCHMARK(StepOf256Decodes)->ArgName("context")->Arg(128)->Arg(512)->Arg(4096)->Unit(benchmark::kMicrosecond);

void StepPlanToBytes(benchmark::State& state) {
  RequestId next_id = 0;
  std::vector<TokenId> sampled;
  Scheduler scheduler = decoding(static_cast<std::int32_t>(state.range(0)), next_id, sampled);
  const StepPlan& plan = scheduler.plan(0);
  EncodedPlan encoded;
  for (auto _ : state)
    encode(plan, encoded);
  state.counters["bytes"] = static_cast<double>(plan_slot_bytes + encoded.tail.size());
}
BENCHMARK(StepPlanToBytes)->ArgName("context")->Arg(128)->Arg(512)->Arg(4096)->Unit(benchmark::kMicrosecond);

void StepPlanFromBytes(benchmark::State& state) {
  RequestId next_id = 0;
  std::vector<TokenId> sampled;
  const SchedulerOptions options = options_for(static_cast<std::int32_t>(state.range(0)));
  Scheduler scheduler = decoding(static_cast<std::int32_t>(state.range(0)), next_id, sampled);
  EncodedPlan encoded;
  encode(scheduler.plan(0), encoded);
  const PlanLimits limits = {.max_rows = options.max_batch_tokens,
                             .max_context = options.max_context,
                             .vocabulary = 1000,
                             .block_size = block_size,
                             .blocks = options.blocks};
  for (auto _ : state) {
    const auto plan = decode(encoded.slot, encoded.tail, limits);
    if (!plan) state.SkipWithError(plan.error().message.c_str());
  }
}
BENCHMARK(StepPlanFromBytes)->ArgName("context")->Arg(128)->Arg(512)->Arg(4096)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weft::engine
