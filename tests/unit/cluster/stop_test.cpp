// The end, at every stage: no process is left, nothing hangs.
#include <future>

#include "tests/unit/cluster/fake_cluster.h"

namespace weft {
namespace {

using Stop = test::ClusterTest;

TEST_F(Stop, WorkersInServiceEndInOrder) {
  ASSERT_TRUE(start(2, 2));
  bring_up();
  ASSERT_TRUE(cluster_->stop(std::chrono::minutes(1)));
  for (const auto& [rank, worker] : workers_)
    EXPECT_TRUE(worker->heard_stop()) << rank;
  EXPECT_EQ(executor_.living(), 0u);
  EXPECT_TRUE(executor_.stops("replica-0").empty()) << "no signal was needed";
  EXPECT_EQ(status(0).state, ReplicaState::stopped);
  EXPECT_EQ(events_.downs(), 0u) << "an end that was asked for is no failure";
  EXPECT_EQ(cluster_->wait_ready(test::soon()).error().code, ErrorCode::cancelled);
}

TEST_F(Stop, WhoDoesNotEndIsKilledAfterTheGrace) {
  ASSERT_TRUE(start(1, 2));
  bring_up();
  workers_[1]->stay_on_stop();
  ASSERT_TRUE(cluster_->stop(std::chrono::milliseconds(100)));
  EXPECT_EQ(executor_.living(), 0u);
  EXPECT_EQ(executor_.stops("replica-0"), (std::vector<Duration>{Duration::zero()}));
}

TEST_F(Stop, WhoIsNotInServiceYetIsEndedAtOnce) {
  ASSERT_TRUE(start(1, 2));
  executor_.wait_launched(1);
  dial(0).hello();
  workers_[0]->stay_on_stop();
  ASSERT_TRUE(cluster_->stop(std::chrono::minutes(1)));  // returns long before: the executor's TERM comes first
  EXPECT_EQ(executor_.stops("replica-0").front(), Duration(std::chrono::minutes(1)));
}

TEST_F(Stop, ASecondStopWithAShorterGraceCounts) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  workers_[0]->stay_on_stop();
  auto first = std::async(std::launch::async, [this] { return cluster_->stop(std::chrono::minutes(5)); });
  ASSERT_TRUE(cluster_->stop(Duration::zero()));
  EXPECT_TRUE(first.get());
  EXPECT_EQ(executor_.living(), 0u);
}

TEST_F(Stop, ItMayBeCalledAgainAndAgain) {
  ASSERT_TRUE(start(1, 1));
  bring_up();
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(cluster_->stop(Duration::zero()));
}

TEST_F(Stop, ItEndsAWaitForReady) {
  ASSERT_TRUE(start(1, 1));
  executor_.wait_launched(1);
  auto ready = std::async(std::launch::async, [this] { return cluster_->wait_ready(Deadline::never()); });
  ASSERT_TRUE(cluster_->stop(Duration::zero()));
  EXPECT_EQ(ready.get().error().code, ErrorCode::cancelled);
}

TEST_F(Stop, RightAfterTheStart) {
  ASSERT_TRUE(start(3, 2));
  EXPECT_TRUE(cluster_->stop(Duration::zero()));
  EXPECT_EQ(executor_.living(), 0u);
}

TEST_F(Stop, BeforeAnythingIsPlaced) {
  executor_.place = false;
  ASSERT_TRUE(start(2, 1));
  EXPECT_TRUE(cluster_->stop(std::chrono::minutes(1)));
  EXPECT_EQ(executor_.living(), 0u);
}

TEST_F(Stop, AfterAReplicaWasLost) {
  ASSERT_TRUE(start(2, 1));
  bring_up();
  executor_.exit(0, test::exit_signal(9));
  (void)events_.wait_down(0);
  EXPECT_TRUE(cluster_->stop(std::chrono::minutes(1)));
  EXPECT_EQ(status(0).state, ReplicaState::down);
  EXPECT_EQ(status(1).state, ReplicaState::stopped);
}

TEST_F(Stop, AfterARefusedLaunch) {
  executor_.refuse = Error{ErrorCode::invalid_argument, "no"};
  ASSERT_TRUE(start(2, 1));
  EXPECT_TRUE(cluster_->stop(std::chrono::minutes(1)));
}

// The destructor at each stage; the fixture checks that nothing lives then.
TEST_F(Stop, DestroyedWhileLaunching) { ASSERT_TRUE(start(2, 2)); }
TEST_F(Stop, DestroyedWhileNothingIsPlaced) {
  executor_.place = false;
  ASSERT_TRUE(start(2, 2));
}
TEST_F(Stop, DestroyedWhileJoining) {
  ASSERT_TRUE(start(2, 2));
  say_hello();
}
TEST_F(Stop, DestroyedWhileReady) {
  ASSERT_TRUE(start(2, 2));
  bring_up();
}
TEST_F(Stop, DestroyedInTheMomentAReplicaIsLost) {
  for (int i = 0; i < 20; ++i) {
    test::MockExecutor executor;
    const Plan plan{.data = 1, .replicas = {{.dp = 0, .ranks = {{.rank = 0}}}}};
    auto run = RunDirectory::create(directory_.file("again"), "test");
    ASSERT_TRUE(run) << run.error().message;
    struct Quiet : ClusterEvents {
      void on_ready(ReplicaId, std::int64_t) override {}
      void on_down(ReplicaId, std::int64_t, const Error&) override {}
    } events;
    auto cluster = Cluster::start({.config = &config_,
                                   .plan = &plan,
                                   .executor = &executor,
                                   .run_directory = run->get(),
                                   .plugins = {},
                                   .worker_argv = {"/bin/weft"},
                                   .build = "build-1"},
                                  events);
    ASSERT_TRUE(cluster);
    executor.wait_launched(1);
    executor.exit(0, test::exit_signal(9));
    cluster->reset();  // `events` goes right after: nobody may still be telling it
  }
}

}  // namespace
}  // namespace weft
