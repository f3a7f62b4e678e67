// What the scheduler remembers of one request while it waits or runs.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "engine/cache/block_pool.h"
#include "engine/schedule/step_plan.h"
#include "weft/request.h"

namespace weft::engine {

struct Sequence {
  static constexpr std::int64_t no_deadline = std::numeric_limits<std::int64_t>::max();

  RequestId request = 0;
  std::uint64_t arrival = 0;  // rises by one a request; 0: nobody's
  std::int32_t priority = 0;
  std::int32_t choice = 0;
  SamplingParams sampling = {};
  StopConditions stop = {};
  std::int64_t deadline_ms = no_deadline;  // on the caller's clock

  std::vector<TokenId> tokens = {};  // prompt, then all generated: first those of an earlier replica
  std::int32_t prompt_size = 0;
  std::int32_t final_size = 0;  // tokens.size() at which it ends with FinishReason::length
  LogprobsWanted logprobs = {};
  // Positions, from the first on, whose logits a plan has asked for, and how many are wanted in all: those that a token of
  // the prompt follows. Preemption leaves them: what is computed again is not scored again.
  std::int32_t scored = 0;
  std::int32_t scores_wanted = 0;

  bool running = false;
  std::uint64_t admission = 0;    // rises each time one begins to run: while it stays, `blocks` only grows
  std::int32_t cached = 0;        // positions whose keys and values are in the blocks, or will be by a step in flight
  std::int32_t in_flight = 0;     // samples planned and not committed: the tokens that follow `tokens`
  SampledRef newest_sample = {};  // the last of those
  std::vector<BlockId> blocks = {};  // position p lies in blocks[p / block_size]

  std::int32_t known() const noexcept { return static_cast<std::int32_t>(tokens.size()); }
  // Tokens it has once the steps in flight are done.
  std::int32_t size() const noexcept { return known() + in_flight; }
  // Nothing is generated: it ends once its prompt is scored.
  bool scores_only() const noexcept { return final_size == prompt_size; }
  // Positions to compute: the last token of a prompt that is only scored says nothing of the prompt.
  std::int32_t to_compute() const noexcept { return size() - (scores_only() ? 1 : 0); }
  bool decoding() const noexcept { return running && cached + 1 >= size(); }
};

// Who is served first: the larger priority, then the earlier arrival. Strict and total over living sequences.
struct ServedBefore {
  bool operator()(const Sequence* a, const Sequence* b) const noexcept {
    return a->priority != b->priority ? a->priority > b->priority : a->arrival < b->arrival;
  }
};

}  // namespace weft::engine
