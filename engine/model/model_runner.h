// ModelRunner: one rank's part of a model, and the forward pass over it.
//
// Every rank of a replica loads with the same spec but for its position, device and groups, then calls
// forward() with the same plans in the same order. One thread. Destroyed before its device and groups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "engine/model/model_config.h"
#include "engine/model/runner_spec.h"
#include "engine/schedule/step_plan.h"
#include "engine/weights/shard.h"
#include "weft/buffer.h"
#include "weft/status.h"

namespace weft::engine {

// [samples, vocabulary] f32 in host memory, row-major, a row for each sequence with `sample` in plan order.
// Valid until the runner's next call.
struct LogitsView {
  const float* data = nullptr;
  std::int32_t samples = 0;
  std::int32_t vocabulary = 0;

  std::span<const float> row(std::int32_t sample) const noexcept {
    return {data + static_cast<std::size_t>(sample) * static_cast<std::size_t>(vocabulary),
            static_cast<std::size_t>(vocabulary)};
  }
};

// Called on the leader during forward(), for each row that the plan wants scored, in plan order: the sequence's index in
// the plan, the row's position, and its logits [vocabulary], which are valid during the call.
using ScoreSink = std::function<void(std::size_t sequence, std::int32_t position, std::span<const float> logits)>;

struct StepTiming {
  double seconds = 0;             // of a forward() from call to return
  double collective_seconds = 0;  // of these, in collectives, waiting for the other ranks included
};

struct MemoryFigures {
  Bytes weights = 0;    // as the device keeps them
  Bytes workspace = 0;  // activations and a step's inputs
  Bytes cache = 0;      // 0 before create_cache()
};

class ModelRunner {
 public:
  // Reads config and this rank's shards. Errors name file, tensor or key, what was found and what was
  // expected.
  static Result<std::unique_ptr<ModelRunner>> load(const RunnerSpec& spec);
  ~ModelRunner();

  const ModelConfig& config() const noexcept;
  std::int32_t max_context() const noexcept;  // tokens of a sequence
  WeightHash weight_hash() const noexcept;
  MemoryFigures memory() const noexcept;

  Bytes kv_block_bytes() const noexcept;    // one block, all of this rank's layers
  std::int32_t kv_blocks() const noexcept;  // what RunnerSpec::kv_memory holds, on this rank
  // Once, before the first forward(). The ranks of a replica agree on the number first.
  Status create_cache(std::int32_t blocks);

  // One step. The logits are the leader's (tp 0 of the first stage); every other rank's view is empty, as is
  // that of an empty plan. Plans outside the limits are invalid_argument on every rank, before any
  // collective; after an error in a collective the groups are broken and the replica cannot go on.
  // Rows to be scored go to `scores`, as many at a time as there is room for.
  Result<LogitsView> forward(const StepPlan& plan, const ScoreSink& scores = {});
  StepTiming last_step() const noexcept;

 private:
  struct State;
  explicit ModelRunner(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

}  // namespace weft::engine
