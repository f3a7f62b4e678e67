// StepPlan: one forward pass of a replica, said in values. The leader's scheduler makes it, the leader broadcasts it,
// and every rank of the replica replays it; it holds all that a rank needs and nothing of what a request meant.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "weft/request.h"

namespace weft::engine {

// The token that an earlier step sampled, by its place among that step's samples: known to every rank by the time the
// naming step runs, so that a plan can be made before its inputs exist.
struct SampledRef {
  std::int64_t step = 0;
  std::int32_t slot = 0;
};

// The rows of one sequence in a step: `tokens`, and one more for `tail` if it is there.
struct SequenceStep {
  RequestId request = 0;
  std::int32_t start = 0;            // position of the first row: what the cache holds of this sequence already
  std::vector<TokenId> tokens;       // literal inputs, by position
  std::optional<SampledRef> tail;    // the last input, where it is an earlier step's sample
  std::vector<std::int32_t> blocks;  // block table up to the last row's position
  bool sample = false;               // the last row's logits are wanted; samples are numbered in plan order
  // Rows whose logits are wanted for the log-probability of the prompt's token that follows each: so many, from this one on.
  std::int32_t first_scored = 0;
  std::int32_t scored = 0;

  std::int32_t rows() const noexcept { return static_cast<std::int32_t>(tokens.size()) + (tail ? 1 : 0); }
};

struct StepPlan {
  std::int64_t step = 0;                // rises by one a step of this incarnation
  std::vector<SequenceStep> sequences;  // empty: nothing to compute; keeps followers' leases alive

  std::int32_t rows() const noexcept {
    std::int32_t sum = 0;
    for (const SequenceStep& sequence : sequences)
      sum += sequence.rows();
    return sum;
  }
};

}  // namespace weft::engine
