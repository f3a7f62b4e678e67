// The counters at the end: who takes part, who is left out, who is missing.
#include <future>

#include "core/wire/convert.h"
#include "tests/unit/cluster/fake_cluster.h"

namespace weft {
namespace {

class Settle : public test::ClusterTest {
 protected:
  static wire::Settled counted(std::int64_t requests, std::int64_t tokens, std::int64_t all_requests,
                               std::int64_t all_tokens) {
    wire::Settled settled;
    settled.set_requests(requests);
    settled.set_tokens(tokens);
    settled.set_total_requests(all_requests);
    settled.set_total_tokens(all_tokens);
    return settled;
  }
  static wire::Settled broken(const std::string& why) {
    wire::Settled settled;
    *settled.mutable_error() = wire::to_wire(Error{ErrorCode::unavailable, why});
    return settled;
  }
  auto settle_soon(Deadline deadline = test::soon()) {
    return std::async(std::launch::async, [this, deadline] { return cluster_->settle(deadline); });
  }
};

TEST_F(Settle, TheLeadersOpenOneGroupAndTheirSumsAreTold) {
  ASSERT_TRUE(start(2, 2));
  bring_up();
  workers_[0]->answer([](const wire::Settle&) { return counted(3, 30, 8, 80); });
  workers_[2]->answer([](const wire::Settle&) { return counted(5, 50, 8, 80); });
  const auto settled = cluster_->settle(test::soon());
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_EQ(settled->requests, 8);
  EXPECT_EQ(settled->tokens, 80);
  EXPECT_EQ(settled->members, (std::vector<std::int32_t>{0, 1}));
  EXPECT_TRUE(settled->left_out.empty());
  EXPECT_EQ(settled->each.at(1).second, 50);
  const wire::Settle first = workers_[0]->wait_settle();
  const wire::Settle second = workers_[2]->wait_settle();
  EXPECT_EQ(first.group().id(), second.group().id());
  EXPECT_EQ(second.group().rank(), 1);
  EXPECT_EQ(second.group().size(), 2);
  EXPECT_EQ(second.group().members(1), "rank 2 (replica 1, pp 0, tp 0)");
  EXPECT_GT(second.timeout_ms(), 0);
}

TEST_F(Settle, ASecondSettlementIsAnotherGroup) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  workers_[0]->answer([](const wire::Settle&) { return counted(1, 2, 1, 2); });
  ASSERT_TRUE(cluster_->settle(test::soon()));
  ASSERT_TRUE(cluster_->settle(test::soon()));
  EXPECT_NE(workers_[0]->wait_settle(1).group().id(), workers_[0]->wait_settle(2).group().id());
}

TEST_F(Settle, AReplicaThatIsDownIsLeftOutByName) {
  ASSERT_TRUE(start(3, 1));
  bring_up();
  executor_.exit(1, test::exit_signal(9));
  (void)events_.wait_down(1);
  workers_[0]->answer([](const wire::Settle&) { return counted(3, 30, 8, 80); });
  workers_[2]->answer([](const wire::Settle&) { return counted(5, 50, 8, 80); });
  const auto settled = cluster_->settle(test::soon());
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_EQ(settled->members, (std::vector<std::int32_t>{0, 2}));
  EXPECT_EQ(settled->left_out, (std::vector<std::int32_t>{1}));
  EXPECT_EQ(workers_[2]->wait_settle().group().rank(), 1);
}

TEST_F(Settle, AReplicaLostInTheSettlementIsLeftOutOfTheNextRound) {
  ASSERT_TRUE(start(3, 1));
  bring_up();
  auto settlement = settle_soon();
  const std::string first = workers_[0]->wait_settle(1).group().id();
  (void)workers_[2]->wait_settle(1);
  executor_.exit(1, test::exit_signal(9));
  EXPECT_EQ(workers_[0]->wait_settle(2).group().size(), 2);
  // What they say of the first group comes late and counts for nothing.
  workers_[0]->settled(broken("rank 1 is gone"));
  workers_[0]->settled(counted(3, 30, 8, 80));
  workers_[2]->settled(broken("rank 1 is gone"));
  workers_[2]->settled(counted(5, 50, 8, 80));
  const auto settled = settlement.get();
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_EQ(settled->requests, 8);
  EXPECT_EQ(settled->left_out, (std::vector<std::int32_t>{1}));
  const auto late = cluster_->store().set("group/" + first + "/gloo/x", "y", test::soon());
  EXPECT_FALSE(late) << "whoever waits in the first group is let go";
}

TEST_F(Settle, PeersThatLostAMemberAreAskedAgainOnceItIsKnownToBeDown) {
  ASSERT_TRUE(start(2, 1));
  bring_up();
  auto settlement = settle_soon();
  (void)workers_[0]->wait_settle(1);
  workers_[0]->settled(broken("rank 1 is gone"));  // before the head hears of the exit
  executor_.exit(1, test::exit_signal(9));
  EXPECT_EQ(workers_[0]->wait_settle(2).group().size(), 1);
  workers_[0]->settled(counted(3, 30, 3, 30));
  const auto settled = settlement.get();
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_EQ(settled->requests, 3);
}

TEST_F(Settle, AMemberThatAnsweredAndThenEndedStillCounts) {
  ASSERT_TRUE(start(2, 1));
  bring_up();
  auto settlement = settle_soon();
  (void)workers_[1]->wait_settle(1);
  workers_[1]->settled(counted(5, 50, 8, 80));
  workers_[1]->fail_with({ErrorCode::internal, "and then it broke"});
  (void)events_.wait_down(1);
  workers_[0]->settled(counted(3, 30, 8, 80));
  const auto settled = settlement.get();
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_EQ(settled->members.size(), 2u);
}

TEST_F(Settle, AGroupThatFailsWithAllMembersAliveIsTold) {
  ASSERT_TRUE(start(2, 1));
  bring_up();
  workers_[0]->answer([](const wire::Settle&) { return broken("no route to host"); });
  workers_[1]->answer([](const wire::Settle&) { return broken("no route to host"); });
  const auto settled = cluster_->settle(test::soon());
  ASSERT_FALSE(settled);
  EXPECT_EQ(settled.error().message, "settlement: rank 0 (replica 0, pp 0, tp 0): no route to host");
}

TEST_F(Settle, LeadersThatDisagreeAreTold) {
  ASSERT_TRUE(start(2, 1));
  bring_up();
  workers_[0]->answer([](const wire::Settle&) { return counted(3, 30, 8, 80); });
  workers_[1]->answer([](const wire::Settle&) { return counted(5, 50, 9, 80); });
  const auto settled = cluster_->settle(test::soon());
  ASSERT_FALSE(settled);
  EXPECT_EQ(settled.error().code, ErrorCode::internal);
}

TEST_F(Settle, ItsDeadlineNamesWhoIsMissing) {
  ASSERT_TRUE(start(2, 1));
  bring_up();
  workers_[0]->answer([](const wire::Settle&) { return counted(3, 30, 8, 80); });
  auto settlement = settle_soon(Deadline::in(std::chrono::seconds(1)));
  (void)workers_[0]->wait_settle();
  const auto settled = settlement.get();
  ASSERT_FALSE(settled);
  EXPECT_EQ(settled.error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(settled.error().message, "settlement: no answer from rank 1 (replica 1, pp 0, tp 0)");
  // A late answer counts for nothing, and a new settlement asks again.
  workers_[1]->settled(counted(5, 50, 8, 80));
  workers_[1]->answer([](const wire::Settle&) { return counted(5, 50, 8, 80); });
  const auto again = cluster_->settle(test::soon());
  EXPECT_TRUE(again) << again.error().message;
}

TEST_F(Settle, WithoutAnyReplicaThereIsNothingToWaitFor) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  executor_.exit(0, test::exit_signal(9));
  (void)events_.wait_down(0);
  const auto settled = cluster_->settle(test::soon());
  ASSERT_TRUE(settled);
  EXPECT_EQ(settled->left_out, (std::vector<std::int32_t>{0}));
}

TEST_F(Settle, OnlyOneIsUnderWayAtATime) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  auto first = settle_soon();
  (void)workers_[0]->wait_settle();
  const auto second = cluster_->settle(test::soon());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::failed_precondition);
  workers_[0]->settled(counted(1, 1, 1, 1));
  EXPECT_TRUE(first.get());
}

TEST_F(Settle, AStopEndsIt) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  auto settlement = settle_soon();
  (void)workers_[0]->wait_settle();
  ASSERT_TRUE(cluster_->stop(Duration::zero()));
  const auto settled = settlement.get();
  ASSERT_FALSE(settled);
  EXPECT_EQ(settled.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace weft
