// The leader's logits: shards of the vocabulary put side by side in host memory, then scaled and capped.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/model/model_config.h"
#include "engine/model/rank_shape.h"
#include "weft/device.h"
#include "weft/status.h"

namespace weft::engine {

class LogitsCollector {
 public:
  // Memory for `max_samples` rows on the leader, none elsewhere.
  static Result<LogitsCollector> create(const ModelConfig& config, const RankShape& rank, std::int32_t max_samples);

  // `shards` in the device's memory: [tp, samples, vocabulary_width] f32. Returns [samples, vocabulary],
  // valid until the next call.
  Result<const float*> collect(Device& device, Buffer shards, std::int32_t samples);

 private:
  LogitsCollector() = default;

  std::vector<Slice> slices_;  // the ids of each tp rank
  std::int64_t width_ = 0;     // columns of a shard
  std::int64_t vocabulary_ = 0;
  double scale_ = 1;
  double soft_cap_ = 0;
  std::unique_ptr<float[]> rows_;
};

}  // namespace weft::engine
