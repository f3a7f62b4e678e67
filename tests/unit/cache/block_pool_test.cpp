#include "engine/cache/block_pool.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

namespace weft::engine {
namespace {

TEST(BlockPool, HandsOutEachBlockOnceUntilNoneIsLeft) {
  BlockPool pool(5);
  std::set<BlockId> taken;
  for (int i = 0; i < 5; ++i)
    taken.insert(pool.allocate().value());
  EXPECT_EQ(taken, (std::set<BlockId>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.allocate(), std::nullopt);
  EXPECT_EQ(pool.free(), 0);
  EXPECT_EQ(pool.used(), 5);
}

TEST(BlockPool, GivesTheBlockFreedLastFirst) {
  BlockPool pool(3);
  const BlockId first = pool.allocate().value();
  const BlockId second = pool.allocate().value();
  EXPECT_TRUE(pool.release(first));
  EXPECT_TRUE(pool.release(second));
  EXPECT_EQ(pool.allocate(), second);
  EXPECT_EQ(pool.allocate(), first);
}

TEST(BlockPool, FreesASharedBlockWithItsLastHolder) {
  BlockPool pool(1);
  const BlockId block = pool.allocate().value();
  EXPECT_TRUE(pool.share(block));
  EXPECT_EQ(pool.references(block), 2);
  EXPECT_TRUE(pool.release(block));
  EXPECT_EQ(pool.free(), 0);
  EXPECT_TRUE(pool.release(block));
  EXPECT_EQ(pool.free(), 1);
}

TEST(BlockPool, RefusesBlocksThatAreFreeOrOutside) {
  BlockPool pool(2);
  for (const BlockId block : {-1, 0, 1, 2}) {
    EXPECT_FALSE(pool.share(block));
    EXPECT_FALSE(pool.release(block));
    EXPECT_EQ(pool.references(block), 0);
  }
  const BlockId block = pool.allocate().value();
  EXPECT_TRUE(pool.release(block));
  EXPECT_FALSE(pool.release(block));
  EXPECT_EQ(pool.free(), 2);
}

TEST(BlockPool, HoldsNothingWhereItsCapacityIsNotPositive) {
  EXPECT_EQ(BlockPool(0).allocate(), std::nullopt);
  EXPECT_EQ(BlockPool(-3).allocate(), std::nullopt);
}

TEST(BlockPool, AgreesWithAMapOfCountsUnderRandomUse) {
  std::mt19937 random(7);
  BlockPool pool(16);
  std::map<BlockId, int> counts;
  for (int i = 0; i < 20000; ++i) {
    const auto block = static_cast<BlockId>(random() % 16);
    const bool held = counts.count(block) > 0;
    switch (random() % 3) {
      case 0:
        if (const auto fresh = pool.allocate()) {
          EXPECT_TRUE(counts.emplace(*fresh, 1).second) << "a block in use was handed out";
        } else {
          EXPECT_EQ(counts.size(), 16u);
        }
        break;
      case 1:
        EXPECT_EQ(pool.share(block), held);
        if (held) ++counts[block];
        break;
      default:
        EXPECT_EQ(pool.release(block), held);
        if (held && --counts[block] == 0) counts.erase(block);
    }
    ASSERT_EQ(pool.used(), static_cast<std::int32_t>(counts.size()));
  }
}

TEST(BlocksFor, RoundsUp) {
  EXPECT_EQ(blocks_for(-1, 16), 0);
  EXPECT_EQ(blocks_for(0, 16), 0);
  EXPECT_EQ(blocks_for(1, 16), 1);
  EXPECT_EQ(blocks_for(16, 16), 1);
  EXPECT_EQ(blocks_for(17, 16), 2);
  EXPECT_EQ(blocks_for(2147483647, 1), 2147483647);
}

}  // namespace
}  // namespace weft::engine
