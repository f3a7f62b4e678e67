#include "plugins/common/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/communicator/reference.h"

namespace weft::test {
namespace {

using plugins::reduce_in_rank_order;

TEST(Reduce, GoesInRankOrder) {
  // 2^24 + 1 rounds back to 2^24, so only ((big + 1) + 1) - big gives 0; any other order gives 1 or 2.
  const float ranks[] = {16777216.0f, 1.0f, 1.0f, -16777216.0f};
  std::vector<const std::byte*> sources;
  for (const float& value : ranks)
    sources.push_back(reinterpret_cast<const std::byte*>(&value));
  float sum = -1;
  reduce_in_rank_order(DType::f32, ReduceOp::sum, sources, 1, reinterpret_cast<std::byte*>(&sum));
  EXPECT_EQ(sum, 0.0f);
}

TEST(Reduce, RoundsSixteenBitFloatsOnce) {
  // In bf16 256 + 1 is 256 again; summed in f32 the two ones make 258.
  const bf16 ranks[] = {to_bf16(256.0f), to_bf16(1.0f), to_bf16(1.0f)};
  std::vector<const std::byte*> sources;
  for (const bf16& value : ranks)
    sources.push_back(reinterpret_cast<const std::byte*>(&value));
  bf16 sum{};
  reduce_in_rank_order(DType::bf16, ReduceOp::sum, sources, 1, reinterpret_cast<std::byte*>(&sum));
  EXPECT_EQ(to_f32(sum), 258.0f);
}

TEST(Reduce, IntegersWrap) {
  const std::int64_t ranks[] = {std::numeric_limits<std::int64_t>::max(), 1};
  const std::byte* sources[] = {reinterpret_cast<const std::byte*>(&ranks[0]),
                                reinterpret_cast<const std::byte*>(&ranks[1])};
  std::int64_t sum = 0;
  reduce_in_rank_order(DType::i64, ReduceOp::sum, sources, 1, reinterpret_cast<std::byte*>(&sum));
  EXPECT_EQ(sum, std::numeric_limits<std::int64_t>::min());
}

TEST(Reduce, TakesSourcesAtAnyAddressAndMayWriteOverOne) {
  for (const DType type : all_types)
    for (const std::size_t count : {0u, 1u, 1023u, 1024u, 1025u, 5000u})
      for (const ReduceOp op : {ReduceOp::sum, ReduceOp::max, ReduceOp::min}) {
        std::vector<Data> ranks;
        std::vector<const std::byte*> sources;
        for (std::int32_t rank = 0; rank < 3; ++rank) {
          ranks.push_back(data_of(type, rank, count));
          ranks.back().insert(ranks.back().begin(), size_of(type) > 1 ? size_of(type) : 1, std::byte{});
        }
        for (const Data& rank : ranks)
          sources.push_back(rank.data() + size_of(type));
        std::byte* over = ranks[1].data() + size_of(type);
        reduce_in_rank_order(type, op, sources, count, over);
        EXPECT_TRUE(Data(over, over + count * size_of(type)) == reduced(type, op, 3, count)) << to_string(type);
      }
}

// Sums `value` with zeros of `type`, and compares with what weft/dtype.h makes of it.
template <class T>
void expect_same_conversions(DType type) {
  std::vector<T> all(65536);
  for (std::uint32_t bits = 0; bits < all.size(); ++bits)
    all[bits].bits = static_cast<std::uint16_t>(bits);
  const std::vector<T> zeros(all.size(), T{0x8000});  // -0 changes nothing, not even the sign of 0
  const std::byte* sources[] = {reinterpret_cast<const std::byte*>(all.data()),
                                reinterpret_cast<const std::byte*>(zeros.data())};
  std::vector<T> sums(all.size());
  reduce_in_rank_order(type, ReduceOp::sum, sources, all.size(), reinterpret_cast<std::byte*>(sums.data()));
  for (std::size_t i = 0; i < all.size(); ++i)
    ASSERT_EQ(sums[i].bits, from_f32<T>(to_f32(all[i]) + to_f32(zeros[i])).bits) << i;
  // Rounding: neighbours of very different magnitudes.
  std::vector<T> others(all.size());
  for (std::size_t i = 0; i < all.size(); ++i)
    others[i].bits = static_cast<std::uint16_t>(i * 40503u);
  sources[1] = reinterpret_cast<const std::byte*>(others.data());
  reduce_in_rank_order(type, ReduceOp::sum, sources, all.size(), reinterpret_cast<std::byte*>(sums.data()));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const float exact = to_f32(all[i]) + to_f32(others[i]);
    if (std::isnan(exact)) {
      ASSERT_TRUE(std::isnan(to_f32(sums[i]))) << i;
    } else {
      ASSERT_EQ(sums[i].bits, from_f32<T>(exact).bits) << i;
    }
  }
}

TEST(Reduce, ConvertsEverySixteenBitFloatAsTheSdkDoes) {
  expect_same_conversions<f16>(DType::f16);
  expect_same_conversions<bf16>(DType::bf16);
}

}  // namespace
}  // namespace weft::test
