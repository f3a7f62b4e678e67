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
  std::optional<Bytes> kv_memory;   // that the KV cache may take; empty: as much as all sequences can fill
  // Moved after each layer of a pass, so that a watcher can tell slow from stuck; any thread may read it. Null: nobody does.
  std::atomic<std::int64_t>* layers_done = nullptr;
};

// Bytes on one rank.
struct MemoryEstimate {
  Bytes weights = 0;           // as the device keeps them unpacked: matrices in `dtype`, norms and rope tables in f32
  Bytes workspace = 0;         // activations and a step's inputs
  Bytes cache = 0;             // keys and values
  std::int32_t positions = 0;  // tokens of a sequence that there is room for: what table_positions() says
};

// Pure: reads no file but what `config` came from; device, groups and directory of the spec are not used. `kv_block` is the
// device's kv_block_bytes(kv_spec(...)), which alone knows what it pads. Errors are those that ModelRunner::load has for the
// same spec.
Result<MemoryEstimate> estimate_memory(const ModelConfig& config, const RunnerSpec& spec, Bytes kv_block);

// The context that a runner of this spec serves. invalid_argument for limits that are no positive numbers, or
// for a max_context above the model's own.
Result<std::int32_t> context_of(const ModelConfig& config, const RunnerSpec& spec);

// Blocks of `kv_block` bytes that the rank's memory for them holds, but no more than all sequences of `context` tokens can
// fill. resource_exhausted where it holds none; invalid_argument where `kv_block` is 0: the device makes no such cache.
Result<std::int32_t> kv_blocks(const RunnerSpec& spec, std::int32_t context, Bytes kv_block);

// Places of a sequence that rope tables and block tables are made for: those of the context that `blocks` can hold. What a
// config.json says of its context costs no memory by itself.
std::int32_t table_positions(const RunnerSpec& spec, std::int32_t context, std::int32_t blocks) noexcept;

// unimplemented where the device does not compute in `dtype`.
Status check_dtype(DType dtype, const DeviceInfo& device);

KvSpec kv_spec(const ModelConfig& config, const RankShape& rank, const RunnerSpec& spec);

}  // namespace weft::engine
