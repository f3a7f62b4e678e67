// What a rank is told when it loads its part of a model, and the memory that this takes.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/model/model_config.h"
#include "engine/model/rank_shape.h"
#include "weft/communicator.h"
#include "weft/device.h"
#include "weft/dtype.h"
#include "weft/status.h"

namespace weft::engine {

struct RunnerSpec {
  std::string model_directory;
  DType dtype = DType::f32;                 // matrix operands, activations and KV
  std::optional<std::int32_t> max_context;  // tokens; empty: the model's own
  RankPosition position;
  Device* device = nullptr;         // outlives the runner, as the groups do
  Group* tensor_group = nullptr;    // ranks by tp; null when tp_size = 1
  Group* pipeline_group = nullptr;  // ranks of the same tp, by pp; null when pp_size = 1
  std::int32_t block_size = 16;     // tokens
  std::int32_t max_batch_tokens = 2048;
  std::int32_t max_requests = 256;  // sequences in a step, at most
  // Moved after each layer of a pass, so that a watcher can tell slow from stuck; any thread may read it. Null: nobody does.
  std::atomic<std::int64_t>* layers_done = nullptr;
};

// Bytes on one rank. KV blocks are counted by KvSpec's definition; a device may pad.
struct MemoryEstimate {
  Bytes weights = 0;    // as the device keeps them unpacked: matrices in `dtype`, norms and rope tables in f32
  Bytes workspace = 0;  // activations and a step's inputs
  Bytes kv_block = 0;   // one block, all of the rank's layers
};

// Pure: reads no file but what `config` came from; device, groups and directory of the spec are not used.
Result<MemoryEstimate> estimate_memory(const ModelConfig& config, const RunnerSpec& spec);

// The context that a runner of this spec serves. invalid_argument for limits that are no positive numbers, or
// for a max_context above the model's own.
Result<std::int32_t> context_of(const ModelConfig& config, const RunnerSpec& spec);

KvSpec kv_spec(const ModelConfig& config, const RankShape& rank, const RunnerSpec& spec);

}  // namespace weft::engine
