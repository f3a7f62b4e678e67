// The norm of all of a token's query heads together, and of all its key heads (OLMo 2, arXiv 2501.00656, section 3.2). The
// heads lie on several ranks, so the sums of squares are summed over the tensor group: two f32 a token.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/model/host_rows.h"
#include "engine/model/timed_group.h"
#include "weft/device.h"
#include "weft/status.h"

namespace weft::engine {

struct FullNormWeights {
  std::vector<float> query, key;  // of this rank's heads; empty: the decoder has no such norm
  // Of ranks that hold the same KV heads, one: so that the sum over the group has each key once.
  bool counts_keys = true;
};

struct FullNormArgs {
  const FullNormWeights& weights;
  TensorView qkv{};             // [T, queries | keys | values] of this rank; queries and keys are normed in place
  std::int64_t query_size = 0;  // elements that all ranks have together
  std::int64_t key_size = 0;
  double epsilon = 0;
  double weight_offset = 0;
  TensorView sums{};  // [T, 2] f32 in the device's memory, for the sum over the group
};

// Every rank of the group calls it with the same T. An element is x w / sqrt(sum / size + epsilon), in double, rounded once.
Status full_norm(const FullNormArgs& args, Device& device, TimedGroup& tensor, HostRows& scratch);

}  // namespace weft::engine
