#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "engine/model/runner_spec.h"
#include "engine/model/tensor_list.h"
#include "engine/model/workspace.h"

namespace weft::engine {
namespace {

// Elements of one layer's matrices, and of its vectors, on this rank.
struct Elements {
  Bytes matrices = 0;
  Bytes vectors = 0;
};

Elements layer_elements(const ModelConfig& config, const RankShape& rank, std::int64_t layer) {
  const DecoderSpec& decoder = config.decoder;
  const TensorNames& names = decoder.names;
  const auto hidden = static_cast<Bytes>(config.shape.hidden);
  const auto head_dim = static_cast<Bytes>(config.shape.head_dim);
  const Bytes query = static_cast<Bytes>(rank.query_heads.count) * head_dim;
  const Bytes qkv = query + 2 * static_cast<Bytes>(rank.kv_heads.count) * head_dim;
  const bool sparse = has_experts(config, layer);
  const auto intermediate =
      static_cast<Bytes>(sparse ? rank.intermediate.count : rank.share_of(dense_columns(config)).count);
  const auto experts = static_cast<Bytes>(sparse ? config.shape.experts : 1);
  Elements out;
  out.matrices = hidden * (qkv + query + 3 * intermediate * experts + (sparse ? experts : 0));
  for (const std::string* norm :
       {&names.attention_norm, &names.attention_post_norm, &names.mlp_norm, &names.mlp_post_norm})
    out.vectors += norm->empty() ? 0 : hidden;
  if (decoder.qk_norm == QkNorm::head) out.vectors += 2 * head_dim;
  if (decoder.qk_norm == QkNorm::full) out.vectors += query + static_cast<Bytes>(rank.kv_heads.count) * head_dim;
  // Row-parallel matrices' biases are the first rank's alone, so that their sum has them once.
  const bool first = rank.position.tp_rank == 0;
  if (decoder.qkv_bias) out.vectors += qkv;
  if (decoder.output_bias && first) out.vectors += hidden;
  if (decoder.mlp_bias) out.vectors += 2 * intermediate + (first ? hidden : 0);
  return out;
}

}  // namespace

Result<std::int32_t> context_of(const ModelConfig& config, const RunnerSpec& spec) {
  // The bounds keep every product of sizes inside 64 bits.
  const auto check = [](const char* name, std::int32_t value, std::int32_t high, const char* note) -> Status {
    if (value >= 1 && value <= high) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("model: {} is {}, expected from 1 to {}{}", name, value, high, note));
  };
  const std::int32_t context = spec.max_context.value_or(config.shape.max_context);
  WEFT_TRY(check("block_size", spec.block_size, 1 << 16, ""));
  WEFT_TRY(check("max_batch_tokens", spec.max_batch_tokens, 1 << 24, ""));
  WEFT_TRY(check("max_requests", spec.max_requests, 1 << 20, ""));
  WEFT_TRY(check("max_context", context, config.shape.max_context, ", the model's own (max_position_embeddings)"));
  return context;
}

KvSpec kv_spec(const ModelConfig& config, const RankShape& rank, const RunnerSpec& spec) {
  return {.layers = static_cast<std::int32_t>(rank.layers.count),
          .kv_heads = static_cast<std::int32_t>(rank.kv_heads.count),
          .head_dim = config.shape.head_dim,
          .block_size = spec.block_size,
          .type = spec.dtype};
}

Result<std::int32_t> kv_blocks(const RunnerSpec& spec, std::int32_t context, Bytes kv_block) {
  if (kv_block == 0)
    return fail(ErrorCode::invalid_argument,
                fmt::format("model: the device makes no KV cache of {} in blocks of {} tokens", to_string(spec.dtype),
                            spec.block_size));
  const std::int64_t of_request = (std::int64_t{context} + spec.block_size - 1) / spec.block_size;
  // Every token of the cache has an i32 for its place.
  const std::int64_t most = std::min<std::int64_t>(of_request * spec.max_requests,
                                                   std::numeric_limits<std::int32_t>::max() / spec.block_size);
  if (!spec.kv_memory) return static_cast<std::int32_t>(most);
  const Bytes affordable = *spec.kv_memory / kv_block;
  if (affordable >= 1) return static_cast<std::int32_t>(std::min(static_cast<Bytes>(most), affordable));
  return fail(ErrorCode::resource_exhausted,
              fmt::format("engine.kv_memory gives a rank {} bytes, a block of {} tokens takes {}; give it more",
                          *spec.kv_memory, spec.block_size, kv_block));
}

std::int32_t table_positions(const RunnerSpec& spec, std::int32_t context, std::int32_t blocks) noexcept {
  return static_cast<std::int32_t>(std::min<std::int64_t>(context, std::int64_t{blocks} * spec.block_size));
}

Status check_dtype(DType dtype, const DeviceInfo& device) {
  for (const DType type : device.compute_types)
    if (type == dtype) return {};
  return fail(ErrorCode::unimplemented, fmt::format("model: dtype {} is not one the device computes in ({})",
                                                    to_string(dtype), device.description));
}

Result<MemoryEstimate> estimate_memory(const ModelConfig& config, const RunnerSpec& spec, Bytes kv_block) {
  WEFT_ASSIGN(rank, rank_shape(config.shape, spec.position));
  WEFT_ASSIGN(context, context_of(config, spec));
  WEFT_ASSIGN(blocks, kv_blocks(spec, context, kv_block));
  const std::int32_t positions = table_positions(spec, context, blocks);
  const auto hidden = static_cast<Bytes>(config.shape.hidden);
  const Bytes vocabulary = static_cast<Bytes>(rank.vocabulary.count) * hidden;
  Elements all;
  for (std::int64_t layer = rank.layers.first; layer < rank.layers.end(); ++layer) {
    const Elements elements = layer_elements(config, rank, layer);
    all.matrices += elements.matrices;
    all.vectors += elements.vectors;
  }
  if (rank.first_stage) all.matrices += vocabulary;
  if (rank.last_stage) all.matrices += vocabulary;
  if (rank.last_stage) all.vectors += hidden;
  for (const RopeSpec& rope : config.decoder.ropes)
    all.vectors += static_cast<Bytes>(positions) * static_cast<Bytes>(rope.dimensions);

  return MemoryEstimate{.weights = all.matrices * size_of(spec.dtype) + all.vectors * sizeof(float),
                        .workspace = workspace_bytes(region_sizes(config, rank, spec, positions)),
                        .cache = static_cast<Bytes>(blocks) * kv_block,
                        .positions = positions};
}

}  // namespace weft::engine
