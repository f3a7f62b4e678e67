// A StepPlan as bytes: what the leader broadcasts on the control group and its followers replay.
//
// A fixed slot, so that followers can post the receive before they know a plan's size, and a tail where the plan is longer:
//   slot: u32 total bytes | u32 magic | u64 XXH3 of what follows | payload ... | zeros      tail: the rest of the payload
// The payload is LEB128 varints, ids of requests and blocks as differences from the one before (zigzag). Little-endian.
//
// Each plan carries its sequences' whole block tables: a follower needs no memory of earlier plans, so none can be out of
// step with the leader. Sending only what is new would shrink a decode row to some 6 bytes; at 256 rows of 1,000 tokens
// a plan is about 25 KB, which the control group carries in tens of microseconds.
//
// Decoding trusts nothing: lengths are checked before memory is taken, damage is an error and never a crash. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/schedule/step_plan.h"
#include "weft/status.h"

namespace weft::engine {

inline constexpr std::size_t plan_slot_bytes = 4096;
inline constexpr std::size_t plan_most_bytes = std::size_t{64} << 20;  // of slot and tail; a longer one is damage

struct EncodedPlan {
  std::array<std::byte, plan_slot_bytes> slot{};
  std::vector<std::byte> tail = {};
};

// What a rank can run. A plan outside of it is refused before it reaches a device.
struct PlanLimits {
  std::int32_t max_rows = 0;
  std::int32_t max_context = 0;
  std::int32_t vocabulary = 0;
  std::int32_t block_size = 0;  // at least 1
  std::int32_t blocks = 0;
};

// `plan` is a scheduler's; `out` keeps its memory between calls.
void encode(const StepPlan& plan, EncodedPlan& out);

// Bytes of the tail that follows a slot; 0 for none. data_loss for what is no slot.
Result<std::size_t> tail_bytes(std::span<const std::byte> slot);

// The plan of a slot and its tail, checked against the limits. data_loss for damage and for what a rank cannot run.
Result<StepPlan> decode(std::span<const std::byte> slot, std::span<const std::byte> tail, const PlanLimits& limits);

// That a rank with these limits can run the plan: rows, positions, ids, blocks, tables that cover their positions.
Status check(const StepPlan& plan, const PlanLimits& limits);

}  // namespace weft::engine
