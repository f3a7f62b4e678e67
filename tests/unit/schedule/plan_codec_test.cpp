#include "engine/schedule/plan_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstring>
#include <limits>
#include <random>

#include "engine/cache/block_pool.h"

namespace weft::engine {
namespace {

using testing::HasSubstr;

constexpr PlanLimits limits = {
    .max_rows = 4000, .max_context = 5000, .vocabulary = 200000, .block_size = 16, .blocks = 100000};

StepPlan random_plan(std::mt19937& random, int sequences, int most_rows) {
  const auto between = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  StepPlan plan;
  plan.step = between(10, 1000000);
  for (int i = 0; i < sequences; ++i) {
    SequenceStep& sequence = plan.sequences.emplace_back();
    sequence.request = (RequestId{3} << 48) + random() % 1000;
    sequence.start = between(0, 900);
    for (int row = between(0, most_rows); row > 0; --row)
      sequence.tokens.push_back(between(0, limits.vocabulary - 1));
    if (sequence.tokens.empty() || between(0, 3) == 0)
      sequence.tail = SampledRef{.step = plan.step - between(1, 10), .slot = between(0, 255)};
    for (int block = blocks_for(sequence.start + sequence.rows(), limits.block_size); block > 0; --block)
      sequence.blocks.push_back(between(0, limits.blocks - 1));
    sequence.sample = between(0, 1) == 0;
    if (between(0, 2) == 0) {
      sequence.scored = between(1, sequence.rows());
      sequence.first_scored = between(0, sequence.rows() - sequence.scored);
    }
  }
  return plan;
}

void expect_equal(const StepPlan& a, const StepPlan& b) {
  EXPECT_EQ(a.step, b.step);
  ASSERT_EQ(a.sequences.size(), b.sequences.size());
  for (std::size_t i = 0; i < a.sequences.size(); ++i) {
    EXPECT_EQ(a.sequences[i].request, b.sequences[i].request);
    EXPECT_EQ(a.sequences[i].start, b.sequences[i].start);
    EXPECT_EQ(a.sequences[i].tokens, b.sequences[i].tokens);
    ASSERT_EQ(a.sequences[i].tail.has_value(), b.sequences[i].tail.has_value());
    if (a.sequences[i].tail) {
      EXPECT_EQ(a.sequences[i].tail->step, b.sequences[i].tail->step);
      EXPECT_EQ(a.sequences[i].tail->slot, b.sequences[i].tail->slot);
    }
    EXPECT_EQ(a.sequences[i].blocks, b.sequences[i].blocks);
    EXPECT_EQ(a.sequences[i].sample, b.sequences[i].sample);
    EXPECT_EQ(a.sequences[i].scored, b.sequences[i].scored);
    EXPECT_EQ(a.sequences[i].first_scored, b.sequences[i].first_scored);
  }
}

std::string refusal(const EncodedPlan& encoded, const PlanLimits& within = limits) {
  const auto plan = decode(encoded.slot, encoded.tail, within);
  return plan ? "decoded" : to_string(plan.error());
}

// Makes the checksum right again, so that what stands behind it is tested too.
void reseal(EncodedPlan& encoded) {
  std::uint32_t total = 0;
  std::memcpy(&total, encoded.slot.data(), sizeof total);
  const std::size_t in_slot = std::min<std::size_t>(total, plan_slot_bytes) - 16;
  std::uint64_t sum = XXH3_64bits(encoded.slot.data() + 16, in_slot);
  if (!encoded.tail.empty()) sum = XXH3_64bits_withSeed(encoded.tail.data(), encoded.tail.size(), sum);
  std::memcpy(encoded.slot.data() + 8, &sum, sizeof sum);
}

TEST(PlanCodec, GivesBackTheSamePlan) {
  std::mt19937 random(1);
  EncodedPlan encoded;  // used again and again: nothing of one plan is left in the next
  for (int i = 0; i < 300; ++i) {
    const StepPlan plan = random_plan(random, i % 40, i % 7 == 0 ? 60 : 3);
    encode(plan, encoded);
    const auto tail = tail_bytes(encoded.slot);
    ASSERT_TRUE(tail);
    EXPECT_EQ(*tail, encoded.tail.size());
    const auto decoded = decode(encoded.slot, encoded.tail, limits);
    ASSERT_TRUE(decoded) << decoded.error().message;
    expect_equal(*decoded, plan);
  }
}

TEST(PlanCodec, FitsAnIdleStepAndASmallBatchIntoTheSlot) {
  std::mt19937 random(2);
  EncodedPlan encoded;
  encode({}, encoded);
  EXPECT_TRUE(encoded.tail.empty());
  EXPECT_EQ(refusal(encoded), "decoded");
  encode(random_plan(random, 16, 1), encoded);
  EXPECT_TRUE(encoded.tail.empty());
}

TEST(PlanCodec, KeepsTheLargestNumbers) {
  StepPlan plan;
  plan.step = std::numeric_limits<std::int64_t>::max();
  const std::int32_t most = std::numeric_limits<std::int32_t>::max();
  plan.sequences.push_back({.request = ~RequestId{0},
                            .start = 0,
                            .tokens = {most - 1},
                            .tail = SampledRef{.step = 0, .slot = most},
                            .blocks = {most - 1},
                            .sample = true});
  plan.sequences.push_back(plan.sequences.front());
  plan.sequences.back().request = 0;
  EncodedPlan encoded;
  encode(plan, encoded);
  const auto decoded = decode(encoded.slot, encoded.tail,
                              {.max_rows = 9, .max_context = 9, .vocabulary = most, .block_size = 2, .blocks = most});
  ASSERT_TRUE(decoded) << decoded.error().message;
  expect_equal(*decoded, plan);
}

TEST(PlanCodec, RefusesEveryFlippedBit) {
  std::mt19937 random(3);
  for (const int sequences : {3, 60}) {
    const StepPlan plan = random_plan(random, sequences, 20);
    EncodedPlan encoded;
    encode(plan, encoded);
    ASSERT_EQ(encoded.tail.empty(), sequences == 3);
    std::uint32_t total = 0;
    std::memcpy(&total, encoded.slot.data(), sizeof total);
    for (std::size_t at = 0; at < total; ++at) {
      std::byte& byte = at < plan_slot_bytes ? encoded.slot[at] : encoded.tail[at - plan_slot_bytes];
      const auto bit = static_cast<std::byte>(1u << (random() % 8));
      byte ^= bit;
      EXPECT_NE(refusal(encoded), "decoded") << "byte " << at;
      byte ^= bit;
    }
  }
}

TEST(PlanCodec, RefusesWhatIsCutShortOrTooLong) {
  std::mt19937 random(4);
  EncodedPlan encoded;
  encode(random_plan(random, 60, 20), encoded);
  for (std::size_t size = 0; size < plan_slot_bytes; size += 97)
    EXPECT_FALSE(tail_bytes(std::span<const std::byte>(encoded.slot).first(size)));
  encoded.tail.push_back({});
  EXPECT_THAT(refusal(encoded), HasSubstr("data_loss: step plan: a tail of"));
  while (!encoded.tail.empty()) {
    encoded.tail.resize(encoded.tail.size() * 3 / 4);
    EXPECT_THAT(refusal(encoded), HasSubstr("step plan: a tail of"));
  }
  EXPECT_THAT(refusal(EncodedPlan{}), HasSubstr("no plan of this version"));
}

TEST(PlanCodec, SurvivesDamageThatHasARightChecksum) {
  std::mt19937 random(5);
  EncodedPlan encoded;
  for (int i = 0; i < 20000; ++i) {
    if (i % 100 == 0) encode(random_plan(random, i % 3 == 0 ? 60 : 4, 20), encoded);
    EncodedPlan broken = encoded;
    for (unsigned flips = 1 + random() % 4; flips > 0; --flips) {
      const bool in_tail = !broken.tail.empty() && random() % 2 == 0;
      std::byte& byte = in_tail ? broken.tail[random() % broken.tail.size()]
                                : broken.slot[16 + random() % (random() % 2 == 0 ? 20 : plan_slot_bytes - 16)];
      byte = static_cast<std::byte>(random());
    }
    reseal(broken);
    const auto plan = decode(broken.slot, broken.tail, limits);
    if (plan) {
      EXPECT_TRUE(check(*plan, limits));
    }
  }
}

TEST(PlanCodec, RefusesCountsBeyondTheBytesThatAreThere) {
  EncodedPlan encoded;
  encode({}, encoded);
  const unsigned char huge[] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};  // 2^64 - 1 sequences
  std::memcpy(encoded.slot.data() + 16, huge, sizeof huge);
  const std::uint32_t total = 16 + sizeof huge;
  std::memcpy(encoded.slot.data(), &total, sizeof total);
  reseal(encoded);
  EXPECT_THAT(refusal(encoded), HasSubstr("its fields do not fill its length"));
}

TEST(PlanCodec, RefusesPlansThatARankCannotRun) {
  StepPlan good;
  good.step = 7;
  good.sequences.push_back({.request = 5, .start = 30, .tokens = {1, 2, 3}, .tail = {}, .blocks = {4, 5, 6}});
  ASSERT_TRUE(check(good, limits));
  const auto with = [&](auto change) {
    StepPlan plan = good;
    change(plan.sequences[0]);
    EncodedPlan encoded;
    encode(plan, encoded);
    return refusal(encoded, limits);
  };
  EXPECT_THAT(with([](SequenceStep& s) { s.tokens.clear(); }), HasSubstr("positions 30 to 29, expected some"));
  EXPECT_THAT(with([](SequenceStep& s) { s.start = 4998; }), HasSubstr("expected some within 0 to 4999"));
  EXPECT_THAT(with([](SequenceStep& s) { s.start = -1; }), HasSubstr("fields do not fill"));
  EXPECT_THAT(with([](SequenceStep& s) { s.tokens[1] = 200000; }), HasSubstr("token id 200000, expected 0 to 199999"));
  EXPECT_THAT(with([](SequenceStep& s) { s.blocks.pop_back(); }),
              HasSubstr("a table of 2 blocks for 33 positions, expected 3"));
  EXPECT_THAT(with([](SequenceStep& s) { s.blocks[2] = 100000; }), HasSubstr("block 100000, expected 0 to 99999"));
  EXPECT_THAT(with([](SequenceStep& s) { s.blocks[2] = -1; }), HasSubstr("block -1"));
  EXPECT_THAT(with([](SequenceStep& s) {
                s.tokens.pop_back();
                s.tail = SampledRef{.step = 7, .slot = 0};
              }),
              HasSubstr("expected a step from 0 to 6"));
  PlanLimits narrow = limits;
  narrow.max_rows = 2;
  EXPECT_THAT(to_string(check(good, narrow).error()), HasSubstr("3 rows, expected at most 2"));
}

}  // namespace
}  // namespace weft::engine
