// Messages that are out of place, from peers that have the token: dropped and logged, and nothing else happens.
#include "core/wire/convert.h"
#include "tests/unit/cluster/fake_cluster.h"

namespace weft {
namespace {

class Stray : public test::ClusterTest {
 protected:
  // The head has dealt with all that this worker has said before, and the cluster is as it was.
  void expect_unmoved(std::int32_t rank) {
    for (const auto& [each, worker] : workers_)
      worker->sync();
    workers_[rank]->answer([](const wire::Settle&) { return wire::Settled{}; });
    const auto settled = cluster_->settle(test::soon());
    EXPECT_TRUE(settled) << settled.error().message;
    EXPECT_EQ(events_.downs(), 0u);
    for (const ReplicaStatus& each : cluster_->replicas())
      EXPECT_EQ(each.state, ReplicaState::ready);
  }
};

TEST_F(Stray, ARankOutsideThePlanIsRefused) {
  ASSERT_TRUE(start(1, 1));
  test::FakeWorker stray(7, executor_);
  const Status dialed = stray.dial(cluster_->endpoint(), run_->token());
  ASSERT_FALSE(dialed);
  EXPECT_NE(dialed.error().message.find("rank 7 is not in the plan of 1 ranks"), std::string::npos);
}

TEST_F(Stray, AnotherIncarnationIsRefused) {
  ASSERT_TRUE(start(1, 1));
  test::FakeWorker stray(0, executor_);
  const Status dialed = stray.dial(cluster_->endpoint(), run_->token(), 2);
  ASSERT_FALSE(dialed);
  EXPECT_NE(dialed.error().message.find("replica 0 is at incarnation 1, not 2"), std::string::npos);
}

TEST_F(Stray, AWrongTokenIsRefused) {
  ASSERT_TRUE(start(1, 1));
  test::FakeWorker stray(0, executor_);
  const Status dialed = stray.dial(cluster_->endpoint(), std::string(64, '0'));
  ASSERT_FALSE(dialed);
  EXPECT_EQ(dialed.error().code, ErrorCode::permission_denied);
}

TEST_F(Stray, ASecondWorkerOfARankIsTurnedAwayAndTheFirstStays) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  test::FakeWorker second(0, executor_);
  ASSERT_TRUE(second.dial(cluster_->endpoint(), run_->token()));
  second.hello();
  EXPECT_EQ(second.wait_down().code, ErrorCode::cancelled);
  expect_unmoved(0);
}

TEST_F(Stray, ASecondHelloOnAGoodLinkIsDropped) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  workers_[0]->hello();
  workers_[0]->hello("build-2");
  expect_unmoved(0);
}

TEST_F(Stray, MessagesBeforeHelloAreDropped) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  test::FakeWorker early(0, executor_);
  ASSERT_TRUE(early.dial(cluster_->endpoint(), run_->token()));
  early.say(wire::PHASE_JOINED);
  early.say_ready("0123");
  early.fail_with({ErrorCode::internal, "nobody asked"});
  early.settled({});
  early.hello();  // its end shows that all before it has been dealt with
  (void)early.wait_down();
  expect_unmoved(0);
}

TEST_F(Stray, PhasesOutOfPlaceAreDropped) {
  ASSERT_TRUE(start(1, 2));
  say_hello();
  workers_[1]->say_ready("0123");  // a follower cannot speak for its replica
  for (const auto& [rank, worker] : workers_) {
    worker->say(wire::PHASE_JOINED);
    worker->say(wire::PHASE_JOINED);
    worker->say(wire::PHASE_LOADED);
    worker->say(wire::PHASE_LOADED);
    worker->say(wire::PHASE_UNKNOWN);
    worker->say(static_cast<wire::PhaseKind>(99));
    worker->sync();
  }
  workers_[0]->say_ready(config_hash());
  workers_[0]->say_ready("0123");
  ASSERT_TRUE(cluster_->wait_ready(test::soon()));
  expect_unmoved(0);
  EXPECT_EQ(status(0).weight_bytes, 200u) << "counted once a rank";
  EXPECT_EQ(events_.ready().size(), 1u);
}

TEST_F(Stray, ASettledThatNobodyAskedForIsDropped) {
  ASSERT_TRUE(start(2, 2));
  bring_up();
  wire::Settled stray;
  stray.set_total_requests(99);
  *stray.mutable_error() = wire::to_wire(Error{ErrorCode::internal, "stray"});
  workers_[0]->settled(stray);
  workers_[1]->settled(stray);  // a follower
  workers_[2]->answer([](const wire::Settle&) { return wire::Settled{}; });
  workers_[3]->settled(stray);
  expect_unmoved(0);
}

TEST_F(Stray, BodiesThatOnlyTheHeadSendsAreDropped) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  wire::Envelope envelope;
  *envelope.mutable_assign() = workers_[0]->wait_assign();
  ASSERT_TRUE(workers_[0]->send(envelope));
  envelope.mutable_stop();
  ASSERT_TRUE(workers_[0]->send(envelope));
  envelope.mutable_step_output();
  ASSERT_TRUE(workers_[0]->send(envelope));
  envelope.mutable_store_reply();
  ASSERT_TRUE(workers_[0]->send(envelope));
  expect_unmoved(0);
}

TEST_F(Stray, TheLinkOfAWorkerThatWasTurnedAwaySaysNothingOfTheRank) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  {
    test::FakeWorker second(0, executor_);
    ASSERT_TRUE(second.dial(cluster_->endpoint(), run_->token()));
  }
  expect_unmoved(0);
}

}  // namespace
}  // namespace weft
