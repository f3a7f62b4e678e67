#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "engine/schedule/plan_codec.h"
#include "tests/fuzz/fuzz_targets.h"
#include "tests/fuzz/targets/promise.h"

namespace weft::fuzz {
namespace {

constexpr engine::PlanLimits limits{
    .max_rows = 512, .max_context = 4096, .vocabulary = 1000, .block_size = 16, .blocks = 600};

void decode_and_back(std::span<const std::byte> slot, std::span<const std::byte> tail) {
  const auto tail_size = engine::tail_bytes(slot);
  if (!tail_size) return promise_message(tail_size.error());
  promise(*tail_size <= engine::plan_most_bytes, "a tail beyond its limit");
  const auto plan = engine::decode(slot, tail, limits);
  if (!plan) return promise_message(plan.error());
  promise(engine::check(*plan, limits).has_value(), "a decoded plan that no rank can run");
  engine::EncodedPlan encoded;
  engine::encode(*plan, encoded);
  const auto again = engine::decode(encoded.slot, encoded.tail, limits);
  promise(again && again->step == plan->step && again->sequences.size() == plan->sequences.size(),
          "a plan that changes on its way");
  engine::EncodedPlan twice;
  engine::encode(*again, twice);
  promise(twice.slot == encoded.slot && twice.tail == encoded.tail, "a plan with two encodings");
}

// The slot and tail of a payload with the lengths and the hash that an honest sender writes, so that what lies behind them
// is reached.
void decode_payload(Input payload) {
  engine::EncodedPlan honest;
  engine::encode({}, honest);
  std::vector<std::byte> bytes(honest.slot.begin(), honest.slot.begin() + 16);
  bytes.resize(16 + payload.size());
  if (!payload.empty()) std::memcpy(bytes.data() + 16, payload.data(), payload.size());
  const auto total = static_cast<std::uint32_t>(bytes.size());
  for (std::size_t i = 0; i < 4; ++i)
    bytes[i] = static_cast<std::byte>(total >> (8 * i));
  std::vector<std::byte> slot(engine::plan_slot_bytes);
  const std::size_t first = std::min(bytes.size(), slot.size());
  std::copy_n(bytes.begin(), first, slot.begin());
  const auto tail = std::span(bytes).subspan(first);
  std::uint64_t hash = XXH3_64bits(slot.data() + 16, first - 16);
  if (!tail.empty()) hash = XXH3_64bits_withSeed(tail.data(), tail.size(), hash);
  for (std::size_t i = 0; i < 8; ++i)
    slot[8 + i] = static_cast<std::byte>(hash >> (8 * i));
  decode_and_back(slot, tail);
}

}  // namespace

void fuzz_plan(Input input) {
  if (input.empty()) return;
  const Input rest = input.subspan(1);
  if (input[0] % 2 == 0) return decode_payload(rest);
  const auto bytes = std::as_bytes(rest);
  const std::size_t slot = std::min(bytes.size(), engine::plan_slot_bytes);
  decode_and_back(bytes.first(slot), bytes.subspan(slot));
}

}  // namespace weft::fuzz
