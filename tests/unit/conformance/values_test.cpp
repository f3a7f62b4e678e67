// The data of the communicators' cases: no stream is a part of another, and whole numbers sum exactly.
#include "tests/conformance/communicator/values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <string>

namespace weft::conformance {
namespace {

constexpr std::size_t elements = 2048;

// Origins that differ in one word or another.
std::vector<Origin> neighbours() {
  std::vector<Origin> all;
  for (const std::uint64_t seed : {1U, 2U})
    for (const char* const id : {"CM-01", "CM-02"})
      for (const std::uint64_t call : {0U, 1U, 2U})
        all.push_back({.key = key_of(seed, id, call), .ranks = 2, .from = 0});
  const Origin one{.key = key_of(1, "CM-05", 7), .ranks = 4, .from = 1};
  for (const std::int32_t ranks : {1, 2, 3, 4}) {
    Origin other = one;
    other.ranks = ranks;
    all.push_back(other);
  }
  for (std::int32_t from = 0; from < 8; ++from)
    for (std::int32_t to = 0; to < 8; ++to)
      all.push_back({.key = one.key, .ranks = 8, .from = from, .to = to});
  return all;
}

// How many elements of `a` are those that `b` has `shift` places further on.
std::size_t alike(DType type, const Data& a, const Data& b, std::size_t shift) {
  const std::size_t width = size_of(type);
  std::size_t same = 0;
  for (std::size_t at = 0; at + shift < a.size() / width; ++at)
    same += std::memcmp(a.data() + at * width, b.data() + (at + shift) * width, width) == 0 ? 1 : 0;
  return same;
}

// What chance allows of `values` equally likely ones: far more than it gives once in the whole test.
std::size_t by_chance(double values) {
  const double mean = static_cast<double>(elements) / values;
  return static_cast<std::size_t>(mean + 8 * std::sqrt(mean) + 8);
}

TEST(ConformanceValues, NoStreamIsAnotherOneShifted) {
  const std::vector<Origin> origins = neighbours();
  std::vector<Data> streams;
  for (const Origin& origin : origins)
    streams.push_back(data_of(DType::i64, origin, 128));
  for (std::size_t one = 0; one < streams.size(); ++one)
    for (std::size_t other = 0; other < streams.size(); ++other)
      for (std::size_t shift = one == other ? 1 : 0; shift <= 40; ++shift)
        ASSERT_EQ(alike(DType::i64, streams[one], streams[other], shift), 0u)
            << "stream " << one << " and stream " << other << ", " << shift << " elements on";
}

TEST(ConformanceValues, ElementsOfNarrowTypesAreAlikeByChanceOnly) {
  const std::pair<DType, double> types[] = {{DType::u8, 256},
                                            {DType::bf16, 128 * 13 * 2},
                                            {DType::f16, 1024 * 13 * 2},
                                            {DType::i32, 0x1p32},
                                            {DType::f32, 0x1p23}};
  for (const auto& [type, values] : types)
    for (std::int32_t from = 0; from < 4; ++from)
      for (std::int32_t other = 0; other < 4; ++other)
        for (std::size_t shift = from == other ? 1 : 0; shift <= 40; ++shift) {
          const Data a = data_of(type, {.key = 9, .ranks = 4, .from = from}, elements);
          const Data b = data_of(type, {.key = 9, .ranks = 4, .from = other}, elements);
          ASSERT_LE(alike(type, a, b, shift), by_chance(values))
              << weft::to_string(type) << " of ranks " << from << " and " << other << ", " << shift << " elements on";
        }
}

// The same bits under another type would let a result of the wrong type pass.
TEST(ConformanceValues, TypesOfOneWidthHaveStreamsOfTheirOwn) {
  const Origin origin{.key = 3, .ranks = 2, .from = 1};
  EXPECT_LE(alike(DType::f16, data_of(DType::f16, origin, elements), data_of(DType::bf16, origin, elements), 0), 16u);
  EXPECT_EQ(alike(DType::f32, data_of(DType::f32, origin, elements), data_of(DType::i32, origin, elements), 0), 0u);
}

TEST(ConformanceValues, AStreamIsTheSameFromAnyElementOn) {
  const Origin origin{.key = key_of(5, "CM-13", 1), .ranks = 3, .from = 2};
  for (const DType type : all_types) {
    const Data whole = data_of(type, origin, 1000);
    for (const std::size_t first : {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{999}}) {
      const Data rest = data_of(type, origin, 1000 - first, first);
      EXPECT_TRUE(
          std::equal(rest.begin(), rest.end(), whole.begin() + static_cast<std::ptrdiff_t>(first * size_of(type))));
    }
  }
}

TEST(ConformanceValues, WideFloatsAreFiniteAndNotZero) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    const Data data = data_of(type, {.key = 1, .ranks = 2}, elements);
    for (std::size_t at = 0; at < elements; ++at) {
      const double magnitude = std::fabs(get(data.data() + at * size_of(type), type));
      ASSERT_TRUE(magnitude >= 0x1p-6 && magnitude <= 0x1p7) << magnitude;
    }
  }
}

// Rounded to the type after each step, from both ends: what the worst communicator does.
TEST(ConformanceValues, SumsOfExactValuesAreTheSameInAnyOrderAndRounding) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16})
    for (const std::int32_t ranks : {1, 2, 3, 4, 8, 16}) {
      std::vector<Data> all;
      for (std::int32_t from = 0; from < ranks; ++from)
        all.push_back(data_of(type, {.key = 4, .ranks = ranks, .from = from, .values = Values::exact}, elements));
      for (std::size_t at = 0; at < elements; ++at) {
        std::byte up[4] = {};
        std::byte down[4] = {};
        put(up, type, 0);
        put(down, type, 0);
        double sum = 0;
        for (std::size_t rank = 0; rank < all.size(); ++rank) {
          const double value = get(all[rank].data() + at * size_of(type), type);
          ASSERT_NE(value, 0);
          ASSERT_EQ(value, std::trunc(value));
          sum += value;
          put(up, type, get(up, type) + value);
          put(down, type, get(down, type) + get(all[all.size() - 1 - rank].data() + at * size_of(type), type));
        }
        ASSERT_EQ(get(up, type), sum);
        ASSERT_EQ(get(down, type), sum);
      }
    }
}

TEST(ConformanceValues, WideSumsShowTheirOrder) {
  std::vector<Data> all;
  for (std::int32_t from = 0; from < 4; ++from)
    all.push_back(data_of(DType::f32, {.key = 4, .ranks = 4, .from = from}, elements));
  const Data forward = reduce(DType::f32, ReduceOp::sum, all).exact;
  std::reverse(all.begin(), all.end());
  const Data backward = reduce(DType::f32, ReduceOp::sum, all).exact;
  EXPECT_GT(elements - alike(DType::f32, forward, backward, 0), elements / 10);
}

}  // namespace
}  // namespace weft::conformance
