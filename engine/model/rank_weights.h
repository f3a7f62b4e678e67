// A rank's part of a model's weights, on its device.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/model/full_norm.h"
#include "engine/model/runner_spec.h"
#include "engine/weights/checkpoint.h"
#include "engine/weights/shard.h"
#include "weft/device.h"
#include "weft/status.h"

namespace weft::engine {

// Null: the decoder, or this rank, has no such weight. Shapes are this rank's: Hq query heads, Hkv KV heads,
// I columns of the MLP, V ids.
struct MlpWeights {
  std::unique_ptr<Weight> gate_up;  // [2 I, H]
  std::unique_ptr<Weight> down;     // [H, I]
};

struct LayerWeights {
  std::unique_ptr<Weight> attention_norm, attention_post_norm;  // [1, H]
  std::unique_ptr<Weight> qkv;                                  // [(Hq + 2 Hkv) D, H]
  std::unique_ptr<Weight> query_norm, key_norm;                 // [1, D]
  FullNormWeights full_norm;                                    // Hq D and Hkv D elements
  std::unique_ptr<Weight> output;                               // [H, Hq D]
  std::unique_ptr<Weight> mlp_norm, mlp_post_norm;              // [1, H]
  MlpWeights mlp;                                               // empty where there are experts
  std::unique_ptr<Weight> router;                               // [experts, H]
  std::vector<MlpWeights> experts;

  // Some norm of H elements; every layer has one.
  const Weight& any_norm() const noexcept { return attention_norm != nullptr ? *attention_norm : *attention_post_norm; }
};

struct RankWeights {
  std::unique_ptr<Weight> embedding;           // [V, H]; first stage
  std::vector<LayerWeights> layers;            // of this stage
  std::unique_ptr<Weight> final_norm;          // [1, H]; last stage
  std::unique_ptr<Weight> head;                // [V, H]; last stage
  std::vector<std::unique_ptr<Weight>> ropes;  // [positions, dimensions], one a DecoderSpec::ropes
  WeightHash hash;                             // equal for the same rank of every replica that loaded the same
  Bytes bytes = 0;                             // as the device keeps them
};

// Reads this rank's shards and nothing else of the checkpoint, whose tensors check_tensors() has found right.
Result<RankWeights> load_rank_weights(const Checkpoint& checkpoint, const ModelConfig& config, const RankShape& rank,
                                      const RunnerSpec& spec, std::int32_t positions);

}  // namespace weft::engine
