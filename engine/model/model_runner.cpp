#include "engine/model/model_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>
#include <utility>

#include "engine/model/forward.h"
#include "engine/model/logits.h"
#include "engine/model/rank_weights.h"
#include "engine/model/step_batch.h"
#include "engine/model/tensor_list.h"
#include "engine/model/timed_group.h"
#include "engine/model/workspace.h"
#include "engine/weights/checkpoint.h"

namespace weft::engine {
namespace {

// Tags of the pipeline group.
constexpr std::uint32_t residual_tag = 0;
constexpr std::uint32_t logits_tag = 1;

Status check_groups(const RunnerSpec& spec) {
  const auto check = [](const char* name, const Group* group, std::int32_t rank, std::int32_t size) -> Status {
    if (group == nullptr ? size == 1 : group->rank() == rank && group->size() == size) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("model: the {} group is {}, expected rank {} of {}", name,
                            group == nullptr ? "missing" : fmt::format("rank {} of {}", group->rank(), group->size()),
                            rank, size));
  };
  if (spec.device == nullptr) return fail(ErrorCode::invalid_argument, "model: no device");
  WEFT_TRY(check("tensor", spec.tensor_group, spec.position.tp_rank, spec.position.tp_size));
  return check("pipeline", spec.pipeline_group, spec.position.pp_rank, spec.position.pp_size);
}

}  // namespace

struct ModelRunner::State {
  RunnerSpec spec;
  ModelConfig config;
  RankShape rank;
  std::int32_t context;
  std::int32_t blocks;
  std::int32_t positions;  // of a sequence, that the tables are made for
  RankWeights weights;
  Workspace workspace;
  TimedGroup tensor;
  TimedGroup pipeline;
  LogitsCollector logits;
  std::unique_ptr<KvCache> cache{};
  StepBatch batch{};
  HostScratch host{};
  StepTiming timing{};

  Result<LogitsView> run(const StepPlan& plan, const ScoreSink& scores);
  Status score(Forward& forward, const ScoreSink& scores);
  Result<LogitsView> logits_of(Forward& forward, std::span<const std::int32_t> rows);
  Result<LogitsView> deliver(std::int32_t samples);
};

Result<std::unique_ptr<ModelRunner>> ModelRunner::load(const RunnerSpec& spec) {
  WEFT_TRY(check_groups(spec));
  WEFT_TRY(check_dtype(spec.dtype, spec.device->info()));
  WEFT_ASSIGN(config, read_model_config(spec.model_directory));
  WEFT_ASSIGN(rank, rank_shape(config.shape, spec.position));
  WEFT_ASSIGN(context, context_of(config, spec));
  WEFT_ASSIGN(blocks, engine::kv_blocks(spec, context, spec.device->kv_block_bytes(kv_spec(config, rank, spec))));
  const std::int32_t positions = table_positions(spec, context, blocks);
  WEFT_ASSIGN(checkpoint, Checkpoint::open(spec.model_directory));
  WEFT_ASSIGN(weights, load_rank_weights(checkpoint, config, rank, spec, positions));
  WEFT_ASSIGN(workspace, Workspace::allocate(*spec.device, region_sizes(config, rank, spec, positions)));
  WEFT_ASSIGN(logits, LogitsCollector::create(config, rank, spec.max_requests));
  const Stream stream = spec.device->stream();
  WEFT_TRY(spec.device->synchronize(stream));
  return std::unique_ptr<ModelRunner>(new ModelRunner(std::unique_ptr<State>(
      new State{.spec = spec,
                .config = std::move(config),
                .rank = rank,
                .context = context,
                .blocks = blocks,
                .positions = positions,
                .weights = std::move(weights),
                .workspace = std::move(workspace),
                .tensor = TimedGroup(spec.position.tp_size > 1 ? spec.tensor_group : nullptr, stream),
                .pipeline = TimedGroup(spec.position.pp_size > 1 ? spec.pipeline_group : nullptr, stream),
                .logits = std::move(logits)})));
}

ModelRunner::ModelRunner(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
ModelRunner::~ModelRunner() = default;

const ModelConfig& ModelRunner::config() const noexcept { return state_->config; }
std::int32_t ModelRunner::max_context() const noexcept { return state_->context; }
std::int32_t ModelRunner::kv_blocks() const noexcept { return state_->blocks; }
WeightHash ModelRunner::weight_hash() const noexcept { return state_->weights.hash; }
StepTiming ModelRunner::last_step() const noexcept { return state_->timing; }

MemoryFigures ModelRunner::memory() const noexcept {
  return {.weights = state_->weights.bytes,
          .workspace = state_->workspace.bytes(),
          .cache = state_->cache == nullptr ? 0 : state_->cache->bytes()};
}

Bytes ModelRunner::kv_block_bytes() const noexcept {
  return state_->spec.device->kv_block_bytes(kv_spec(state_->config, state_->rank, state_->spec));
}

Status ModelRunner::create_cache(std::int32_t blocks) {
  const std::int32_t most = std::numeric_limits<std::int32_t>::max() / state_->spec.block_size;
  if (blocks < 1 || blocks > most)
    return fail(ErrorCode::invalid_argument,
                fmt::format("model: a cache of {} blocks, expected from 1 to {}", blocks, most));
  if (state_->cache != nullptr) return fail(ErrorCode::failed_precondition, "model: the cache is there already");
  WEFT_ASSIGN_CONTEXT(cache,
                      state_->spec.device->create_kv_cache(kv_spec(state_->config, state_->rank, state_->spec), blocks),
                      "model: KV cache");
  state_->cache = std::move(cache);
  return {};
}

Result<LogitsView> ModelRunner::forward(const StepPlan& plan, const ScoreSink& scores) {
  const Time began = Clock::now();
  auto result = state_->run(plan, scores);
  state_->timing = {.seconds = std::chrono::duration<double>(Clock::now() - began).count(),
                    .collective_seconds = state_->tensor.take_seconds() + state_->pipeline.take_seconds()};
  return result;
}

Result<LogitsView> ModelRunner::State::run(const StepPlan& plan, const ScoreSink& scores) {
  if (cache == nullptr) return fail(ErrorCode::failed_precondition, "model: forward() before create_cache()");
  WEFT_TRY(batch.build(plan, {.tokens = spec.max_batch_tokens,
                              .sequences = spec.max_requests,
                              .context = positions,
                              .vocabulary = config.shape.vocabulary,
                              .block_size = spec.block_size,
                              .blocks = cache->blocks()}));
  if (batch.tokens() == 0) return LogitsView{};
  WEFT_ASSIGN(paged, batch.copy_in(*spec.device, workspace));
  const ForwardContext pass{*spec.device, config, rank, weights,    workspace,
                            *cache,       tensor, host, spec.dtype, spec.layers_done};
  Forward forward(pass, paged);
  const TensorView residual = forward.residual();
  const std::int32_t stage = spec.position.pp_rank;
  if (rank.first_stage)
    WEFT_TRY(forward.embed());
  else
    WEFT_TRY(pipeline.recv(residual.buffer, residual.type, stage - 1, residual_tag));
  WEFT_TRY(forward.layers());
  if (!rank.last_stage) WEFT_TRY(pipeline.send(residual.buffer, residual.type, stage + 1, residual_tag));
  const bool wanted = !batch.sample_rows().empty() || !batch.scored_rows().empty();
  if (rank.last_stage && wanted) WEFT_TRY(forward.final_norm());
  WEFT_TRY(score(forward, scores));
  return logits_of(forward, batch.sample_rows());
}

// A prompt has far more rows than there are samples: their logits pass through the samples' memory, a part at a time.
Status ModelRunner::State::score(Forward& forward, const ScoreSink& scores) {
  const std::span<const std::int32_t> rows = batch.scored_rows();
  const auto room = static_cast<std::size_t>(spec.max_requests);
  for (std::size_t first = 0; first < rows.size(); first += room) {
    WEFT_ASSIGN(view, logits_of(forward, rows.subspan(first, std::min(room, rows.size() - first))));
    for (std::int32_t i = 0; i < view.samples && scores; ++i) {
      const auto& [sequence, position] = batch.scored(first + static_cast<std::size_t>(i));
      scores(sequence, position, view.row(i));
    }
  }
  return {};
}

Result<LogitsView> ModelRunner::State::logits_of(Forward& forward, std::span<const std::int32_t> rows) {
  const auto count = static_cast<std::int32_t>(rows.size());
  if (count > 0 && rank.last_stage) {
    WEFT_TRY(batch.copy_rows(*spec.device, workspace, rows));
    WEFT_TRY(forward.logits(count));
  }
  return deliver(count);
}

// Brings the shards of the logits to the leader: over the tensor group to tp 0 of the last stage, then along
// the pipeline.
Result<LogitsView> ModelRunner::State::deliver(std::int32_t samples) {
  if (samples == 0) {
    WEFT_TRY(spec.device->synchronize(spec.device->stream()));
    return LogitsView{};
  }
  const Bytes shard = static_cast<Bytes>(samples) * static_cast<Bytes>(rank.vocabulary_width) * sizeof(float);
  const Bytes whole = shard * static_cast<Bytes>(spec.position.tp_size);
  const bool many = spec.position.tp_size > 1 || !rank.last_stage;
  const Buffer shards = workspace[many ? Region::gathered : Region::logits].slice(0, whole);
  if (rank.last_stage && spec.position.tp_size > 1)
    WEFT_TRY(tensor.all_gather(workspace[Region::logits].slice(0, shard), shards, DType::f32));
  if (spec.position.pp_size > 1 && spec.position.tp_rank == 0) {
    if (rank.last_stage)
      WEFT_TRY(pipeline.send(shards, DType::f32, 0, logits_tag));
    else if (rank.first_stage)
      WEFT_TRY(pipeline.recv(shards, DType::f32, spec.position.pp_size - 1, logits_tag));
  }
  if (!rank.leader()) {
    WEFT_TRY(spec.device->synchronize(spec.device->stream()));
    return LogitsView{};
  }
  WEFT_ASSIGN(data, logits.collect(*spec.device, shards, samples));
  return LogitsView{.data = data, .samples = samples, .vocabulary = config.shape.vocabulary};
}

}  // namespace weft::engine
