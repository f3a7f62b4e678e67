// What a call should give, and how a result that is not that is told.
#include "tests/conformance/communicator/expected.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace weft::conformance {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t key = 77;
constexpr Collective every_collective[] = {Collective::all_reduce, Collective::all_gather, Collective::reduce_scatter,
                                           Collective::broadcast,  Collective::all_to_all, Collective::all_to_all_v,
                                           Collective::message};

// What a right communicator gives rank `rank`.
Data right_output(const Call& call, std::int32_t rank, std::int32_t ranks) {
  const Side side = side_of(call, key, rank, ranks);
  Data out(side.out_elements() * size_of(call.type));
  if (!reduces(call.collective)) {
    fill(out, call.type, side.out);
    return out;
  }
  std::vector<Data> given;
  for (const Part& term : side.terms)
    given.push_back(data_of(call.type, term.origin, term.count, term.first));
  return reduce(call.type, call.op, given).exact;
}

std::string judged(const Call& call, const Data& found, std::int32_t rank, std::int32_t ranks) {
  return difference(call, side_of(call, key, rank, ranks), found, false);
}

Call call_of(Collective collective, DType type, std::size_t count, Values values = Values::wide) {
  return {.collective = collective, .type = type, .count = count, .values = values};
}

TEST(ConformanceExpected, WhatIsRightIsRight) {
  for (const Collective collective : every_collective)
    for (const DType type : all_types)
      for (const std::int32_t rank : {0, 1, 2})
        EXPECT_EQ(
            judged(call_of(collective, type, 100), right_output(call_of(collective, type, 100), rank, 3), rank, 3), "");
}

TEST(ConformanceExpected, AResultOneElementOffIsWrongFromItsFirstElementOn) {
  for (const Collective collective : every_collective)
    for (const DType type : {DType::f32, DType::bf16, DType::i64})
      for (const bool forward : {true, false}) {
        const Call call = call_of(collective, type, 1000);
        Data found = right_output(call, 1, 4);
        const auto width = static_cast<std::ptrdiff_t>(size_of(type));
        std::rotate(found.begin(), forward ? found.begin() + width : found.end() - width, found.end());
        EXPECT_THAT(judged(call, found, 1, 4), HasSubstr("element 0 of")) << to_string(collective);
      }
}

TEST(ConformanceExpected, AResultOneRankOffIsWrong) {
  for (const Collective collective : every_collective)
    for (const DType type : all_types) {
      if (in_place(collective) || collective == Collective::all_gather) continue;  // the same everywhere
      const Call call = call_of(collective, type, 1000);
      EXPECT_NE(judged(call, right_output(call, 2, 4), 1, 4), "") << to_string(collective);
    }
  // Parts of a result turned by a rank.
  for (const Collective collective : {Collective::all_gather, Collective::all_to_all}) {
    const Call call = call_of(collective, DType::f32, 500);
    Data found = right_output(call, 0, 4);
    std::rotate(found.begin(), found.begin() + 500 * 4, found.end());
    EXPECT_THAT(judged(call, found, 0, 4), HasSubstr("element 0 of 2000 (byte 0; element 0 of rank 0's)"));
  }
}

TEST(ConformanceExpected, AnotherRootIsWrong) {
  Call call = call_of(Collective::broadcast, DType::u8, 64);
  call.root = 2;
  const Data found = right_output(call, 1, 4);
  call.root = 1;
  EXPECT_NE(judged(call, found, 1, 4), "");
}

TEST(ConformanceExpected, AFailureNamesElementByteFoundAndExpected) {
  const Call gather = call_of(Collective::all_gather, DType::i32, 10);
  Data found = right_output(gather, 0, 3);
  const double right = get(found.data() + 23 * 4, DType::i32);
  put(found.data() + 23 * 4, DType::i32, 5);
  EXPECT_EQ(judged(gather, found, 0, 3),
            "element 23 of 30 (byte 92; element 3 of rank 2's) is 5, expected " + std::to_string(int(right)));
  const Call sum = call_of(Collective::all_reduce, DType::i32, 10);
  found = right_output(sum, 0, 3);
  const double expected = get(found.data() + 9 * 4, DType::i32);
  put(found.data() + 9 * 4, DType::i32, -7);
  EXPECT_EQ(judged(sum, found, 0, 3), "element 9 of 10 (byte 36) is -7, expected " + std::to_string(int(expected)));
}

// One wrong byte at each place where pieces meet or end.
TEST(ConformanceExpected, EveryElementOfALargeResultIsCompared) {
  const std::size_t count = 2 * piece_elements + 3;
  for (const Collective collective : {Collective::all_reduce, Collective::all_gather, Collective::reduce_scatter}) {
    const Call call = call_of(collective, DType::i32, count);
    const Data right = right_output(call, 1, 2);
    EXPECT_EQ(judged(call, right, 1, 2), "");
    const std::size_t all = right.size() / 4;
    for (const std::size_t at :
         {std::size_t{0}, piece_elements - 1, piece_elements, 2 * piece_elements, count - 1, all - 1}) {
      Data found = right;
      found[at * 4 + 3] ^= std::byte{1};
      EXPECT_THAT(judged(call, found, 1, 2), HasSubstr("element " + std::to_string(at) + " of " + std::to_string(all)));
    }
  }
}

TEST(ConformanceExpected, SumsInAnyOrderPassWithinTheirBoundsAndExactOnesToTheBit) {
  for (const Values values : {Values::wide, Values::exact}) {
    const Call call = call_of(Collective::all_reduce, DType::f32, 1000, values);
    Data found = right_output(call, 0, 3);
    std::uint32_t bits = 0;
    std::memcpy(&bits, found.data() + 400, sizeof(bits));
    ++bits;  // one unit in the last place
    std::memcpy(found.data() + 400, &bits, sizeof(bits));
    EXPECT_EQ(judged(call, found, 0, 3).empty(), values == Values::wide);
    EXPECT_NE(difference(call, side_of(call, key, 0, 3), found, true), "");
  }
}

TEST(ConformanceExpected, AResultOfAnotherLengthIsWrong) {
  const Call call = call_of(Collective::all_gather, DType::u8, 10);
  EXPECT_EQ(judged(call, Data(29), 0, 3), "29 bytes, expected 30");
  EXPECT_EQ(judged(call_of(Collective::all_reduce, DType::u8, 10), Data(), 0, 3), "0 bytes, expected 10");
}

}  // namespace
}  // namespace weft::conformance
