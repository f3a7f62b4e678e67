#include <gtest/gtest.h>

#include "tests/unit/balancer/balancer_fixture.h"

namespace weft {
namespace {

using weft::testing::Balancer;

TEST(RoundRobin, TakesTheReplicasInTurn) {
  Balancer balancer("round_robin");
  balancer.join(3);
  for (RequestId id = 1; id <= 9; ++id)
    EXPECT_EQ(balancer.pick(id), static_cast<ReplicaId>((id - 1) % 3));
}

TEST(RoundRobin, GoesOnAfterTheLastOneWhenReplicasJoinAndLeave) {
  Balancer balancer("round_robin");
  balancer.join(4);
  EXPECT_EQ(balancer.pick(1), 0);
  EXPECT_EQ(balancer.pick(2), 1);
  balancer.table.erase(balancer.table.begin());  // replica 0 leaves, rows move up
  EXPECT_EQ(balancer.pick(3), 2);
  balancer.table.push_back({.id = 7, .incarnation = 1, .eligible = true});
  EXPECT_EQ(balancer.pick(4), 3);
  EXPECT_EQ(balancer.pick(5), 7);
  EXPECT_EQ(balancer.pick(6), 1);
}

}  // namespace
}  // namespace weft
